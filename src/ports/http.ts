/** Names are in lower case; a field that came more than once is one text, joined by commas (RFC 9110 §5.3). */
export type HttpFields = Readonly<Record<string, string>>

/** A request, of which the head has come. */
export interface HttpRequest {
  readonly method: string
  /** Path and query as the client sent them, percent-decoding left to the reader. */
  readonly target: string
  readonly fields: HttpFields
  readonly remoteAddress: string
  /**
   * The body as it comes, to be iterated once or not at all: nobody has to read what is refused. While it is not read the
   * client is held up.
   * @throws {RequestCut}
   */
  readonly body: AsyncIterable<Uint8Array>
}

/** What to answer. `content-length` of a stream is the answer's to say; the body of an answer to HEAD is left away. */
export interface HttpAnswer {
  readonly status: number
  readonly fields?: HttpFields
  /**
   * A stream is read no faster than the client takes it, and is ended (`return`) when the client has gone or is too slow. If it
   * throws, the connection is cut: the client sees that the body is not whole.
   */
  readonly body?: string | AsyncIterable<Uint8Array>
}

/** Answers a request; `undefined` for what is not its to answer. */
export type AnswerRequest = (request: HttpRequest) => Promise<HttpAnswer | undefined>

/** The client has gone in the middle of its request, or was too slow with it. */
export class RequestCut extends Error {
  override readonly name = 'RequestCut'
}
