import type { HttpFields } from './http.ts'

export interface HttpSent {
  readonly method: string
  readonly url: string
  readonly fields: HttpFields
  readonly body?: Uint8Array
  /** Gives up, also in the middle of the answer's body. */
  readonly signal: AbortSignal
}

export interface HttpReceived {
  readonly status: number
  readonly fields: HttpFields
  /** To be iterated once, or left by `return`: until then the connection is held. @throws {ConnectFailed} when it breaks. */
  readonly body: AsyncIterable<Uint8Array>
}

/** Requests over HTTP, for clients. Follows no redirection, keeps no cookies, sends no credentials but those it is told. */
export interface HttpClient {
  /** Resolves when the head of the answer is there. @throws {ConnectFailed} when none comes. */
  send(request: HttpSent): Promise<HttpReceived>
}

/** SHA-256 of what comes in pieces: the hash of a whole file, without ever having the whole of it. */
export interface StreamingHash {
  update(bytes: Uint8Array): void
  /** 32 bytes. Nothing may come any more. */
  digest(): Uint8Array
}
