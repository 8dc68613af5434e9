import type { ClientConnection } from '../federation/command.ts'
import type { Connection } from './connection.ts'
import { encodeCall } from './json-rpc.ts'

/** A client's connection as commands know it, and the one call that ends it. */
export class ConnectedClient implements ClientConnection {
  readonly #connection: Connection
  /** Most connections end without anybody having wanted to hear of it. */
  #listeners: Set<() => void> | undefined
  #hasEnded = false

  constructor(connection: Connection) {
    this.#connection = connection
  }

  tell(method: string, params: unknown): void {
    if (this.#hasEnded) return
    const { outlet } = this.#connection
    this.#connection.tell({ type: 'done', what: method, run: () => outlet.send(encodeCall(method, params)) })
  }

  onEnd(listener: () => void): () => void {
    if (this.#hasEnded) {
      listener()
      return () => {}
    }
    // One function may be given twice: each is its own member.
    const own = () => listener()
    this.#listeners ??= new Set()
    this.#listeners.add(own)
    return () => void this.#listeners?.delete(own)
  }

  ended(): void {
    this.#hasEnded = true
    for (const listener of this.#listeners ?? []) listener()
    this.#listeners = undefined
  }
}
