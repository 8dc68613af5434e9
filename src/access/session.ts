import { AdmittedClient, type AdmittedClientSurroundings } from './admitted-client.ts'
import type { Admitted } from './authentication.ts'
import type { Connection, ConnectionBehaviour } from './connection.ts'
import { Gate, type GateSurroundings } from './gate.ts'
import { encodeCall } from './json-rpc.ts'
import { type Closing, sessionAlive } from './protocol.ts'

/** What all sessions of a server have in common. */
export type SessionSurroundings = GateSurroundings & AdmittedClientSurroundings

const keepAlive = encodeCall(sessionAlive.method, {})

/**
 * A client at `/v1/client`, from its first frame to its last: first at the gate, then with the run of its methods.
 * @param address where it connects from
 */
export const session = (around: SessionSurroundings, connection: Connection, address: string): ConnectionBehaviour =>
  new Session(around, connection, address)

/** A class, as all of which there is one for each client. */
class Session implements ConnectionBehaviour {
  readonly #around: SessionSurroundings
  readonly #connection: Connection
  /** Let go of once the client is in. */
  #gate: Gate | undefined
  #client: AdmittedClient | undefined

  constructor(around: SessionSurroundings, connection: Connection, address: string) {
    this.#around = around
    this.#connection = connection
    this.#gate = new Gate(around, connection, address, admitted => this.#admit(admitted))
  }

  received(frame: string | Uint8Array): void {
    this.#client?.heard()
    if (this.#connection.outlet.closing !== undefined) return
    if (this.#client) this.#client.received(frame)
    else this.#gate?.received(frame)
  }

  tick(): void {
    this.#connection.outlet.tick(keepAlive)
    this.#client?.tick()
  }

  rebuilt(...[document, epoch]: Parameters<ConnectionBehaviour['rebuilt']>): void {
    this.#client?.rebuilt(document, epoch)
  }

  policyChanged(): void {
    this.#client?.policyChanged()
  }

  end(closing: Closing, reason: string): void {
    const close = () => this.#connection.outlet.close(closing, reason)
    if (this.#client) this.#client.finish(close)
    else close()
  }

  ended(): void {
    this.#client?.ended()
  }

  /** @throws {CommandRefused} 429 when the subscriber has too many sessions */
  #admit(admitted: Admitted): void {
    this.#client = new AdmittedClient(this.#around, this.#connection, admitted)
    this.#gate = undefined
    this.#connection.admitted(this.#client)
  }
}
