import { createECDH } from 'node:crypto'
import { lookup } from 'node:dns'
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { isIP } from 'node:net'
import {
  maxPushBytes,
  type Push,
  type PushFailure,
  type PushMessage,
  type PushOutcome,
  type PushSubscription,
  senderSecretBytes,
} from '../ports/push.ts'
import { isLoopback } from './loopback.ts'
import { AddressRefused, isWithin, lookupWithin, type Reach, type ResolveAll } from './public-addresses.ts'

/*
 * Web Push by way of `web-push`, which seals the message (RFC 8291, aes128gcm) and signs for it (RFC 8292). The request is
 * made here, since its target comes from a client: TLS, public addresses, no redirect, bounded time and answer.
 */

export interface WebPushOptions {
  /** Whom a push service may write to about this sender: a `mailto:` or `https:` URL. */
  readonly contact: string
  /** Host names that endpoints may have, `*.` before one for those below it; all, if left out. */
  readonly hosts?: readonly string[]
  /** For push services on this machine, over http too: for tests and trials. */
  readonly loopback?: boolean
  /** PEM certificates of who signed push services' certificates; the usual ones, if left out. */
  readonly authority?: string | Buffer
  /** From the first byte asked to the answer. Default 10 s. */
  readonly timeoutMs?: number
  /** Resolves names; the machine's own way, if left out. */
  readonly resolve?: ResolveAll
}

export interface WebPush extends Push {
  /** Ends its connections. */
  close(): void
}

const defaultTimeoutMs = 10_000
/** Nothing that a push service has to say is read but its status; more than this is not even let pass. */
const maxAnswerBytes = 16 * 1024
const maxConnections = 64
const maxConnectionsPerHost = 8
/** However long a push service asks to be left alone. */
const maxRetryAfterMs = 86_400_000

/** The order of P-256's base point (SP 800-186, 3.2.1.3). */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const scalarBytes = 32

export function webPushSender(options: WebPushOptions): WebPush {
  const { contact, hosts, loopback = false, authority, timeoutMs = defaultTimeoutMs } = options
  const resolve: ResolveAll = options.resolve ?? ((hostname, how, callback) => lookup(hostname, how, callback))
  const pooled = {
    keepAlive: true,
    maxSockets: maxConnectionsPerHost,
    maxTotalSockets: maxConnections,
    timeout: 30_000,
  }
  const https = new HttpsAgent({ ...pooled, ...(authority !== undefined && { ca: authority }) })
  const http = new HttpAgent(pooled)
  const reachOf = (url: URL): Reach => {
    if (url.protocol === 'http:') return 'loopback'
    return loopback ? 'public-and-loopback' : 'public'
  }

  function objection(endpoint: string): string | undefined {
    const url = URL.parse(endpoint)
    if (!url) return 'is no URL'
    const host = hostOf(url)
    const isHere = loopback && (isLoopback(host) || host === 'localhost')
    if (url.protocol !== 'https:' && !(isHere && url.protocol === 'http:')) return 'is not https'
    if (url.username !== '' || url.password !== '') return 'names a user'
    if (isIP(host) !== 0 && !isWithin(reachOf(url), host)) return 'is at an address that is not public'
    if (hosts && !hosts.some(pattern => isNamedBy(pattern, host)))
      return 'is at no push service of this operator’s list'
    // The predecessor of Web Push at Google took other credentials, and has been switched off.
    if (url.host === 'android.googleapis.com') return 'is of a push service that has ended'
    return undefined
  }

  return {
    senderKey: senderSecret => createSender(senderSecret).getPublicKey(),
    objection,

    async send(message) {
      if (message.payload.length > maxPushBytes)
        throw new RangeError(`A push message has at most ${maxPushBytes} bytes.`)
      if (objection(message.subscription.endpoint) !== undefined) return refused('endpoint')
      const sealed = await requestFor(message, contact)
      if (!sealed) return refused('keys')
      const url = new URL(message.subscription.endpoint)
      const isTls = url.protocol === 'https:'
      const signal = AbortSignal.timeout(timeoutMs)
      const request = {
        method: 'POST',
        headers: sealed.headers,
        host: hostOf(url),
        ...(url.port !== '' && { port: url.port }),
        path: `${url.pathname}${url.search}`,
        agent: isTls ? https : http,
        lookup: lookupWithin(reachOf(url), resolve),
        signal,
      }
      return new Promise<PushOutcome>(settle => {
        const sent = (isTls ? requestHttps : requestHttp)(request, response => {
          settle(outcomeOf(response))
          discard(response)
        })
        sent.on('error', error => settle(outcomeOfError(error, signal)))
        sent.end(sealed.body)
      })
    },

    close() {
      https.destroy()
      http.destroy()
    },
  }
}

/** The sealed and signed request; `undefined` when the keys of the subscription are none. */
async function requestFor(
  { subscription, senderSecret, payload, ttlMs, urgency, topic }: PushMessage,
  contact: string,
) {
  if (!isPoint(subscription)) return undefined
  // With the first message: a start need not wait for it.
  const { default: webPush } = await import('web-push')
  const sender = createSender(senderSecret)
  const { headers, body } = webPush.generateRequestDetails(
    {
      endpoint: subscription.endpoint,
      keys: { p256dh: base64url(subscription.p256dh), auth: base64url(subscription.auth) },
    },
    Buffer.from(payload),
    {
      vapidDetails: {
        subject: contact,
        publicKey: base64url(sender.getPublicKey()),
        privateKey: base64url(padded(sender.getPrivateKey())),
      },
      contentEncoding: 'aes128gcm',
      TTL: Math.floor(ttlMs / 1_000),
      urgency,
      ...(topic !== undefined && { topic }),
    },
  )
  return { headers, body: body ?? undefined }
}

/** The key pair of a sender: one that every server derives from the same secret. */
function createSender(secret: Uint8Array) {
  if (secret.length !== senderSecretBytes) throw new RangeError(`A sender's secret has ${senderSecretBytes} bytes.`)
  const scalar = (BigInt(`0x${Buffer.from(secret).toString('hex')}`) % (order - 1n)) + 1n
  const pair = createECDH('prime256v1')
  pair.setPrivateKey(scalar.toString(16).padStart(2 * scalarBytes, '0'), 'hex')
  return pair
}

/** Whether the device's key is a point of the curve: with another one nothing can be sealed. */
function isPoint({ p256dh, auth }: PushSubscription): boolean {
  if (p256dh.length !== 65 || auth.length !== 16) return false
  const probe = createECDH('prime256v1')
  probe.setPrivateKey(padded(Buffer.of(1)))
  try {
    probe.computeSecret(p256dh)
    return true
  } catch {
    return false
  }
}

const padded = (scalar: Buffer): Buffer => Buffer.concat([Buffer.alloc(scalarBytes - scalar.length), scalar])
const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '')

const isNamedBy = (pattern: string, host: string): boolean =>
  pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : host === pattern

const refused = (reason: PushFailure): PushOutcome => ({ kind: 'refused', reason })

function outcomeOf({ statusCode = 0, headers }: IncomingMessage): PushOutcome {
  if (statusCode >= 200 && statusCode < 300) return { kind: 'delivered' }
  if (statusCode === 404 || statusCode === 410) return { kind: 'gone' }
  if (statusCode !== 408 && statusCode !== 429 && statusCode < 500) return refused('status')
  const afterMs = retryAfterMs(headers['retry-after'])
  return { kind: 'retry', reason: 'busy', ...(afterMs !== undefined && { afterMs }) }
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function retryAfterMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const waitMs = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now()
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(0, waitMs), maxRetryAfterMs)
}

function outcomeOfError(error: Error, signal: AbortSignal): PushOutcome {
  if (error instanceof AddressRefused) return refused('address')
  return { kind: 'retry', reason: signal.aborted ? 'timeout' : 'unreachable' }
}

/** Lets a short answer pass, so that the connection can serve again, and cuts a long one off. */
function discard(response: IncomingMessage): void {
  let lengthBytes = 0
  response.on('error', () => {})
  response.on('data', (chunk: Buffer) => {
    lengthBytes += chunk.length
    if (lengthBytes > maxAnswerBytes) response.destroy()
  })
}
