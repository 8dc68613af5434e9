import { base16 } from 'multiformats/bases/base16'
import { base64, base64pad, base64url } from 'multiformats/bases/base64'
import type { LogFields } from '../../ports/telemetry.ts'

/*
 * Takes out of what goes to strangers whatever may be a secret: what the server's own files hold as secrets, wherever it stands and however it
 * is written; what stands under the name of a secret; and what has the form of one. Rather too much is taken out than too little.
 */

export const redacted = '[redacted]'

/** What is shorter is no secret: it would be found in words that are none. */
const shortestSecret = 12

const namedAsSecret = /(psk|secret|token|ticket|passw|passphrase|private|authorization|cookie|credential|sealed)/i
/** What users say, if any line should ever have it. */
const namedAsContent = /^(text|body|content|subject|payload)$/i

const formsOfSecrets: readonly RegExp[] = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g,
  /\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi,
  // Compact JWS (RFC 7515).
  /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g,
  /([?&](?:ticket|token|key|psk|secret)=)[^&\s"]+/gi,
  /\b(?:tel|sips?|mailto):[^\s",;<>]+/gi,
  // Web Push endpoints are addresses that let whoever knows them send.
  /https:\/\/[^\s"]*(?:push|fcm|wns|webpush)[^\s"]*/gi,
]

/** What takes secrets out of texts. @param secrets as the files hold them: texts, and bytes in base64 of either kind */
export function redaction(secrets: Iterable<string>): (text: string) => string {
  const written = [...new Set([...secrets].flatMap(waysToWrite))].filter(secret => secret.length >= shortestSecret)
  // The longer first: one may begin another.
  written.sort((a, b) => b.length - a.length)
  return text => {
    let left = text
    for (const secret of written) left = left.replaceAll(secret, redacted)
    for (const form of formsOfSecrets) left = left.replace(form, redacted)
    return left
  }
}

/** The same bytes in base64url, base64 and hexadecimal. */
function waysToWrite(secret: string): string[] {
  const bytes = bytesOf(secret)
  if (!bytes) return [secret]
  return [
    secret,
    base64url.baseEncode(bytes),
    base64.baseEncode(bytes),
    base64pad.baseEncode(bytes),
    base16.baseEncode(bytes),
  ]
}

function bytesOf(text: string): Uint8Array | undefined {
  try {
    return base64url.baseDecode(text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, ''))
  } catch {
    return undefined
  }
}

/** A JSON value without what stands under the name of a secret or of content, and with all texts redacted. */
export function redactedValue(value: unknown, redact: (text: string) => string, name = ''): unknown {
  if (value !== undefined && value !== null && (namedAsSecret.test(name) || namedAsContent.test(name))) return redacted
  if (typeof value === 'string') return redact(value)
  if (Array.isArray(value)) return value.map(each => redactedValue(each, redact))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [redact(key), redactedValue(inner, redact, key)]),
  )
}

const byForm = redaction([])

/**
 * Fields of a log line as they may be written: no text under the name of a secret or of content, and none that has the form of a
 * secret. Numbers stay: a count of tickets is no ticket. No event has such a field; this is for the error that quotes what it was given.
 */
export const redactedFields = (fields: LogFields): LogFields =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value !== 'string'
        ? value
        : namedAsSecret.test(name) || namedAsContent.test(name)
          ? redacted
          : byForm(value),
    ]),
  )

/** A line of a log: its fields if it is JSON as the node writes it, else its text. */
export function redactedLine(line: string, redact: (text: string) => string): unknown {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null) return redactedValue(value, redact)
  } catch {
    // Other programs write into the same file.
  }
  return redact(line)
}
