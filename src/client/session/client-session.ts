import type { MethodSpec } from '../../federation/command.ts'
import type { ClientIdentity } from '../authenticate.ts'
import type { CallOptions, ClientPorts, CommandState, Session, SessionListener, SessionState } from '../session.ts'
import { Attachment, type AttachmentEvents, type Ping, type PingSign } from './attachment.ts'
import { Calls } from './calls.ts'
import type { Guide, Place } from './guide.ts'

const defaultTimeoutMs = 10_000

/** A connection that is kept up, what is called over it, and who hears of it. */
export class ClientSession implements Session {
  readonly identity: ClientIdentity
  readonly #attachment: Attachment
  readonly #calls: Calls
  readonly #listeners = new Set<SessionListener>()

  constructor(
    ports: ClientPorts,
    options: ClientIdentity & { readonly timeoutMs?: number; readonly reconnect?: boolean },
    guide: Guide,
    events: Pick<AttachmentEvents, 'trying' | 'authenticated' | 'lost' | 'moving'> = {},
  ) {
    const { timeoutMs = defaultTimeoutMs, reconnect = true } = options
    this.identity = options
    this.#attachment = new Attachment(
      ports,
      guide,
      { timeoutMs, reconnect },
      {
        ...events,
        state: state => this.#tell(listener => listener.state?.(state)),
        notification: (method, params) => this.#tell(listener => listener.notification?.(method, params)),
        bytes: frame => this.#tell(listener => listener.bytes?.(frame)),
      },
    )
    this.#calls = new Calls(ports, options, this.#attachment, listener => this.listen(listener), timeoutMs)
  }

  get state(): SessionState {
    return this.#attachment.state
  }

  /** One round over all places. @throws as {@link openSession} */
  connect(): Promise<void> {
    return this.#attachment.connect()
  }

  /** One round, and further ones if it was in vain for the moment. @throws as {@link keepSession} */
  begin(isPatient = false): Promise<void> {
    return this.#attachment.begin(isPatient)
  }

  /** Goes elsewhere, and stays here until it has arrived there. Answers whether it has. */
  moveTo(place: Place, why: string): Promise<boolean> {
    return this.#attachment.moveTo(place, why)
  }

  /** Says that the client is there; see {@link Attachment.ping}. */
  ping(sign: PingSign): Promise<Ping> {
    return this.#attachment.ping(sign)
  }

  call<P, R>(spec: MethodSpec<P, R>, params: P, options?: CallOptions): Promise<R> {
    return this.#calls.call(spec, params, options)
  }

  outcome<P, R>(spec: MethodSpec<P, R>, commandId: string): Promise<CommandState<R>> {
    return this.#calls.outcome(spec, commandId)
  }

  sendBytes(frame: Uint8Array): void {
    this.#attachment.wire?.sendBytes(frame)
  }

  listen(listener: SessionListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#attachment.close()
  }

  #tell(event: (listener: SessionListener) => void): void {
    for (const listener of [...this.#listeners]) event(listener)
  }
}
