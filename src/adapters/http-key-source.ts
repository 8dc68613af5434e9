import { readFile } from 'node:fs/promises'
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import type { Clock } from '../ports/clock.ts'
import type { KeySource, Subscriber } from '../ports/key-source.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { answerCache } from './answer-cache.ts'
import { readSecret } from './files.ts'
import { identityPattern, subscriberOf, subscriberRecord } from './subscriber-record.ts'

/*
 * Subscribers from a key server of the operator's own: `GET <url>/subscribers/<identity>`, with a bearer token, a
 * client certificate, or both.
 *
 * 200 with a subscriber as JSON (`subscriber-record.ts`) is that subscriber; 404 says that there is none. Everything else
 * is a source that cannot be reached: another status, redirects included, an answer that is late, too long, no JSON or of
 * somebody else. What it answers, and what it is asked with, is told to nobody: logs have the reason in one word.
 */

export interface HttpKeySourceOptions {
  /** https, or http on loopback; the path `/subscribers/<identity>` is put behind its own. */
  readonly url: string
  readonly tokenFile?: string
  /** PEM; goes with `keyFile`. */
  readonly certificateFile?: string
  readonly keyFile?: string
  readonly authorityFile?: string
  /** From the question to the last byte of the answer. */
  readonly timeoutMs: number
  readonly ttlMs: number
  readonly negativeTtlMs: number
  readonly staleMs: number
  readonly clock: Pick<Clock, 'elapsed'>
  readonly telemetry: Telemetry
}

export interface HttpKeySource extends KeySource {
  /** Ends its connections. */
  close(): void
}

/** The longest credential is a chain of certificates. */
const maxAnswerBytes = 64 * 1024
const maxEntries = 10_000
const maxAsking = 256
const maxConnections = 16

/** In one word, for logs and counters. */
type Reason = 'unreachable' | 'timeout' | 'status' | 'too-long' | 'malformed' | 'other-identity' | 'credentials'

/** No answer that says anything. */
export class KeySourceFailed extends Error {
  override readonly name = 'KeySourceFailed'
  readonly reason: Reason

  constructor(reason: Reason) {
    super(`The key server gave no answer that could be used: ${reason}.`)
    this.reason = reason
  }
}

/** @throws {FileProblem} when certificate, key or authority cannot be read */
export async function httpKeySource(options: HttpKeySourceOptions): Promise<HttpKeySource> {
  const { url, tokenFile, certificateFile, keyFile, authorityFile, timeoutMs, clock, telemetry } = options
  const base = new URL(url)
  const pooled = { keepAlive: true, maxSockets: maxConnections, timeout: 60_000 }
  const agent =
    base.protocol === 'https:'
      ? new HttpsAgent({
          ...pooled,
          ...(certificateFile !== undefined && { cert: await readFile(certificateFile) }),
          ...(keyFile !== undefined && { key: await readSecret(keyFile) }),
          ...(authorityFile !== undefined && { ca: await readFile(authorityFile) }),
        })
      : new HttpAgent(pooled)

  async function headers(): Promise<Record<string, string>> {
    const accepted = { accept: 'application/json', 'accept-encoding': 'identity' }
    if (tokenFile === undefined) return accepted
    const token = await readSecret(tokenFile).catch(() => {
      throw new KeySourceFailed('credentials')
    })
    return { ...accepted, authorization: `Bearer ${token.trim()}` }
  }

  async function fetched(identity: string): Promise<Subscriber | undefined> {
    const path = `${base.pathname.replace(/\/$/, '')}/subscribers/${encodeURIComponent(identity)}`
    const { status, body } = await answerTo(base, { path, agent, headers: await headers() }, timeoutMs)
    if (status === 404) return undefined
    if (status !== 200) throw new KeySourceFailed('status')
    const subscriber = subscriberIn(body)
    if (subscriber.identity !== identity) throw new KeySourceFailed('other-identity')
    return subscriber
  }

  async function ask(identity: string): Promise<Subscriber | undefined> {
    try {
      const found = await fetched(identity)
      count(found ? 'found' : 'none')
      return found
    } catch (error) {
      const reason = error instanceof KeySourceFailed ? error.reason : 'unreachable'
      count(reason)
      telemetry.log('warn', 'key-source.failed', { host: base.host, reason })
      throw new KeySourceFailed(reason)
    }
  }
  const count = (outcome: string) => telemetry.count('cpns_key_source_questions_total', { outcome })

  const { ttlMs, negativeTtlMs, staleMs } = options
  const cached = answerCache<Subscriber>({
    ask,
    ttlMs,
    negativeTtlMs,
    staleMs,
    maxEntries,
    maxAsking,
    elapsed: () => clock.elapsed(),
    hit: count,
  })

  return {
    // What is no identity, and what a path could read as a way up, is nobody: it is not even asked about.
    find: async identity =>
      identityPattern.test(identity) && !/^\.\.?$/.test(identity) ? cached(identity) : undefined,
    close: () => agent.destroy(),
  }
}

interface Answer {
  readonly status: number
  readonly body: string
}

function answerTo(
  base: URL,
  request: { readonly path: string; readonly agent: HttpAgent; readonly headers: Record<string, string> },
  timeoutMs: number,
): Promise<Answer> {
  const send = base.protocol === 'https:' ? requestHttps : requestHttp
  const signal = AbortSignal.timeout(timeoutMs)
  const { hostname, port } = base
  const host = hostname.replace(/^\[|\]$/g, '')
  return new Promise((resolve, reject) => {
    const failed = () => reject(new KeySourceFailed(signal.aborted ? 'timeout' : 'unreachable'))
    const asked = send({ ...request, host, ...(port !== '' && { port }), signal }, response => {
      bodyOf(response).then(
        body => resolve({ status: response.statusCode ?? 0, body }),
        error => {
          asked.destroy()
          if (error instanceof KeySourceFailed) reject(error)
          else failed()
        },
      )
    })
    asked.on('error', failed)
    asked.end()
  })
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let lengthBytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    lengthBytes += chunk.length
    if (lengthBytes > maxAnswerBytes) throw new KeySourceFailed('too-long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function subscriberIn(body: string): Subscriber {
  try {
    return subscriberOf(subscriberRecord.parse(JSON.parse(body)))
  } catch {
    throw new KeySourceFailed('malformed')
  }
}
