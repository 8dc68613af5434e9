import { decodeWords } from 'postal-mime'

/*
 * The headers of a message or of one of its parts (RFC 5322 §2.2), as others write them: names in any case, values folded,
 * bytes that should not be there.
 */

export class MailHeaders {
  readonly #values = new Map<string, string[]>()

  constructor(raw: Uint8Array) {
    const unfolded = textOf(raw).replace(/\r?\n(?=[ \t])/g, '')
    for (const line of unfolded.split(/\r?\n/)) {
      const colon = line.indexOf(':')
      if (colon <= 0) continue
      const name = line.slice(0, colon).trim().toLowerCase()
      this.#values.set(name, [...(this.#values.get(name) ?? []), line.slice(colon + 1).trim()])
    }
  }

  /** The first of this name, as it is written. */
  raw(name: string): string | undefined {
    return this.#values.get(name.toLowerCase())?.[0]
  }

  all(name: string): readonly string[] {
    return this.#values.get(name.toLowerCase()) ?? []
  }

  /** The first of this name, encoded words (RFC 2047) decoded. */
  text(name: string): string | undefined {
    const raw = this.raw(name)
    return raw === undefined ? undefined : decodeWords(raw)
  }

  /** A value with parameters, such as that of Content-Type. */
  structured(name: string): Structured {
    return structured(this.raw(name) ?? '')
  }
}

export interface Structured {
  /** In lower case. */
  readonly value: string
  readonly parameters: ReadonlyMap<string, string>
}

const parameterPattern = /;\s*([^\s=;]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))/g

/** RFC 2045 §5.1, with the continuations and character sets of RFC 2231. */
export function structured(raw: string): Structured {
  const [value = ''] = raw.split(';', 1)
  const parameters = new Map<string, string>()
  const pieces = new Map<string, { at: number; text: string; isEncoded: boolean }[]>()
  for (const [, given = '', quoted, bare = ''] of raw.slice(value.length).matchAll(parameterPattern)) {
    const text = quoted === undefined ? bare.trim() : quoted.replace(/\\(.)/g, '$1')
    const [, name = given, at, star] = /^([^*]+)(?:\*(\d{1,4}))?(\*)?$/.exec(given.toLowerCase()) ?? []
    if (at === undefined && star === undefined) parameters.set(name, decodeWords(text))
    else pieces.set(name, [...(pieces.get(name) ?? []), { at: Number(at ?? 0), text, isEncoded: star !== undefined }])
  }
  for (const [name, some] of pieces) parameters.set(name, continued(some))
  return { value: value.trim().toLowerCase(), parameters }
}

function continued(pieces: readonly { at: number; text: string; isEncoded: boolean }[]): string {
  const inOrder = pieces.toSorted((a, b) => a.at - b.at)
  let charset = 'utf-8'
  const bytes: number[] = []
  for (const [index, { text, isEncoded }] of inOrder.entries()) {
    const [, named, rest = text] = (index === 0 && isEncoded && /^([^']*)'[^']*'(.*)$/s.exec(text)) || []
    charset = named || charset
    for (const match of (isEncoded ? rest : text).matchAll(/%([0-9A-Fa-f]{2})|[\s\S]/gu)) {
      if (isEncoded && match[1]) bytes.push(Number.parseInt(match[1], 16))
      else bytes.push(...new TextEncoder().encode(match[0]))
    }
  }
  return decoderOf(charset).decode(new Uint8Array(bytes))
}

/** What says no character set that there is, is taken for that of the web. */
export function decoderOf(charset: string): TextDecoder {
  try {
    return new TextDecoder(charset)
  } catch {
    return new TextDecoder('windows-1252')
  }
}

function textOf(raw: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(raw)
  } catch {
    return new TextDecoder('windows-1252').decode(raw)
  }
}
