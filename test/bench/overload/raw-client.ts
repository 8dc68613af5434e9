import { randomBytes } from 'node:crypto'
import { proofBytes, pskInfo, pskSalt } from '../../../src/access/handshake.ts'
import {
  type ChallengeAnswer,
  clientPath,
  type RedirectionShape,
  type SessionAnswer,
  sessionAuthenticate,
  sessionRedirect,
  subprotocol,
} from '../../../src/access/protocol.ts'
import { nodeCrypto } from '../../../src/adapters/crypto.ts'
import { openRawSocket, type RawSocket } from './raw-socket.ts'

/*
 * A client that speaks the protocol by hand. What the real one checks of the server is left out, and the key that a pre-shared
 * key gives is derived beforehand: all of the machine is to be the server's.
 */

export interface Refusal {
  readonly status: number
  readonly retryAfterMs?: number | undefined
  readonly redirect?: RedirectionShape | undefined
}

/** Where a client connects, and what it brings along. */
export interface Approach {
  readonly port: number
  readonly localAddress: string
  readonly identity: string
  /** Whose server it is. Default: the one operator of these benchmarks. */
  readonly operator?: string
  readonly resume?: SessionAnswer['resume'] | undefined
  readonly redirect?: string | undefined
}

export interface RawClientEvents {
  welcome(session: SessionAnswer): void
  /** By the server's own words. The connection ends after it. */
  refused?(refusal: Refusal): void
  /** The server is about to go. */
  redirected?(to: RedirectionShape & { readonly withinMs: number }): void
  /** Of a channel. */
  binary?(frame: Buffer): void
  /** Once, whatever happened before. */
  closed(code: number): void
}

export interface RawClient {
  /** Answers the result, or what the server refused with; nothing when the connection ends before. */
  call(method: string, params: object, answered: (answer: { result?: unknown; error?: Refusal }) => void): void
  /** The same of several in one frame, answered together. */
  callTogether(
    method: string,
    params: readonly object[],
    answered: (answers: readonly { result?: unknown; error?: Refusal }[]) => void,
  ): void
  sendBinary(frame: Uint8Array): void
  close(): void
}

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: never
  readonly result?: ChallengeAnswer | SessionAnswer
  readonly error?: { readonly code: number; readonly data?: Omit<Refusal, 'status'> & { readonly status?: number } }
}

const host = '127.0.0.1'
export const operator = 'a.example'
const crypto = nodeCrypto()
const text = new TextEncoder()

/** As the server is told of it. */
export const pskOf = (identity: string): Uint8Array => crypto.sha256(text.encode(`key of ${identity}`))

const proofKeys = new Map<string, Uint8Array>()
function proofKeyOf(identity: string, of: string): Uint8Array {
  const name = `${identity} of ${of}`
  const known = proofKeys.get(name)
  if (known) return known
  const key = crypto.hkdfSha256(pskOf(identity), pskSalt(of), pskInfo, 32)
  proofKeys.set(name, key)
  return key
}

/** Of its attempts each may come from another address. */
export const localAddressOf = (index: number): string =>
  `127.${1 + (Math.floor(index / 64_516) % 250)}.${1 + (Math.floor(index / 254) % 254)}.${1 + (index % 254)}`

const challengeId = 1
const proofId = 2

export function openRawClient(approach: Approach, events: RawClientEvents): RawClient {
  const { port, localAddress, identity, resume, redirect } = approach
  const url = `ws://${host}:${port}`
  let nonce = ''
  const calls = new Map<number, (answer: { result?: unknown; error?: Refusal }) => void>()
  let lastId = proofId

  const socket: RawSocket = openRawSocket({ host, port, localAddress }, clientPath, subprotocol, {
    open() {
      nonce = randomBytes(32).toString('base64url')
      send(challengeId, sessionAuthenticate.method, {
        ...{ nonce, url },
        ...(resume && { resume: resume.ticket }),
        ...(redirect !== undefined && { redirect }),
      })
    },
    text: frame => [JSON.parse(frame)].flat().forEach(received),
    binary: frame => events.binary?.(frame),
    closed: events.closed,
  })

  function send(id: number, method: string, params: object): void {
    socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
  }

  function received(message: Message): void {
    const { id, method, error, result } = message
    if (method === sessionRedirect.method && message.params) events.redirected?.(message.params)
    if (id === undefined) return
    const refusal = error && { ...error.data, status: error.data?.status ?? error.code }
    const waiting = calls.get(id)
    calls.delete(id)
    if (waiting) waiting(refusal ? { error: refusal } : { result })
    else if (refusal) events.refused?.(refusal)
    else if (result && 'challenge' in result) prove(result)
    else if (result) events.welcome(result)
  }

  function prove(challenge: ChallengeAnswer): void {
    const isResumed = challenge.isResumed === true && resume !== undefined
    const mechanism = isResumed ? 'resume' : 'psk'
    const key = isResumed ? Buffer.from(resume.key, 'base64url') : proofKeyOf(identity, approach.operator ?? operator)
    const mac = crypto.hmacSha256(key, proofBytes({ ...challenge, nonce }, mechanism, identity))
    const proof = Buffer.from(mac).toString('base64url')
    send(proofId, sessionAuthenticate.method, { mechanism, identity, proof })
  }

  return {
    call(method, params, answered) {
      lastId += 1
      calls.set(lastId, answered)
      send(lastId, method, params)
    },
    callTogether(method, params, answered) {
      const answers: { result?: unknown; error?: Refusal }[] = []
      const messages = params.map(each => {
        lastId += 1
        calls.set(lastId, answer => {
          answers.push(answer)
          if (answers.length === params.length) answered(answers)
        })
        return { jsonrpc: '2.0', id: lastId, method, params: each }
      })
      socket.send(JSON.stringify(messages))
    },
    sendBinary: frame => socket.send(frame),
    close: () => socket.close(),
  }
}
