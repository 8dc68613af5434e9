import type { AnswerRequest } from './http.ts'

/** A websocket, at either end: text frames and binary frames, in order, until closed. */
export interface Socket {
  /** Queues a frame. After close it does nothing. */
  send(frame: string | Uint8Array): void
  /**
   * Queues a binary frame that many sockets send, one after another, and that will not change: what is made of it is made once.
   * Absent: `send` does.
   */
  sendShared?(frame: Uint8Array): void
  /** Bytes queued and not yet taken by the operating system: the measure of a slow reader. */
  bufferedBytes(): number
  /** Begins the closing handshake. `code` is 1000 or 3000–4999; `reason` at most 123 bytes of UTF-8. */
  close(code: number, reason: string): void
  /**
   * The client has proved who it is. A listener may let in only so many at once who have not; one that counts none, and the
   * client's own end, leave it out.
   */
  proved?(): void
  /**
   * Does what is to be done for a client that has not proved who it is when it is its turn, so that those who have need not wait
   * for a crowd; when the socket is gone by then, perhaps never. Absent where nobody takes turns: it is done at once.
   */
  inTurn?(work: () => void): void
  /**
   * Of a socket that somebody listened for: from now on whoever uses it notices by itself when the other side is silent, and the
   * listener sends nothing to find out. Absent where nothing is sent.
   */
  minded?(): void
  /** Sets who hears of frames and of the end; frames that came before are delivered at once. Set once. */
  listen(events: SocketEvents): void
}

export interface SocketEvents {
  message(frame: string | Uint8Array): void
  /** The socket is gone, whoever closed it. Called once; nothing comes after. */
  closed(code: number, reason: string): void
}

/** A client that asks for a websocket; nothing has been promised to it yet. */
export interface Upgrade {
  /** Path and query as the client sent them, percent-decoding left to the reader. */
  readonly target: string
  readonly origin: string | undefined
  readonly subprotocols: readonly string[]
  readonly remoteAddress: string
}

/** The answer to an {@link Upgrade}: a socket, or an HTTP status with a reason in the body. */
export type UpgradeAnswer =
  | {
      readonly accept: true
      readonly subprotocol?: string
      readonly opened: (socket: Socket) => void
    }
  | {
      readonly accept: false
      readonly status: number
      readonly reason: string
    }

/** Where clients attach. */
export interface ClientListener {
  /**
   * Begins to listen and answers each upgrade as `decide` says, and each request that is none as `answer` does; without it,
   * and where it answers nothing, requests are told that only websockets are here. Of pages that may not connect no request is
   * answered either; to those that may, every answer can be read.
   * @throws {ListenRefused} when the address cannot be had, or would be plain text beyond loopback.
   */
  listen(decide: (upgrade: Upgrade) => UpgradeAnswer | Promise<UpgradeAnswer>, answer?: AnswerRequest): Promise<void>
  /** The base URL that clients use, `ws://…` or `wss://…`, once listening. */
  url(): string
  /** Takes no more connections; what is open stays so, and `url` answers as before. */
  refuseNew(): void
  /** Stops listening and closes what is open. */
  stop(): Promise<void>
}

export class ListenRefused extends Error {
  override readonly name = 'ListenRefused'
}

/** Opens websockets, for clients. */
export interface SocketFactory {
  /** Resolves when open. @throws {ConnectFailed} */
  connect(url: string, subprotocols: readonly string[]): Promise<Socket>
}

export class ConnectFailed extends Error {
  override readonly name = 'ConnectFailed'
}
