import { MailboxFull } from '../actor/errors.ts'
import type { ActorContext, ActorKind, ActorRef, ActorSystem, Behaviour, Envelope, StopReason } from '../actor/types.ts'
import type { Socket, SocketEvents } from '../ports/client-sockets.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { DocumentId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Movable, MovableConnection } from './leaving.ts'
import type { AccessLimits } from './limits.ts'
import { createOutlet, type Outlet } from './outlet.ts'
import type { Closing } from './protocol.ts'
import { Rounds } from './rounds.ts'

/** What can happen to a connection, one at a time: each is an actor. */
export type ConnectionMessage =
  | { readonly type: 'frame'; readonly frame: string | Uint8Array }
  /** The socket is closed, whoever closed it. */
  | { readonly type: 'gone' }
  | { readonly type: 'opened' }
  | { readonly type: 'tick' }
  /** It has not authenticated in time. */
  | { readonly type: 'deadline' }
  | { readonly type: 'end'; readonly closing: Closing; readonly reason: string }
  /** The operator has another policy for its clients. */
  | { readonly type: 'policy' }
  /** A document that it reads was rebuilt. */
  | { readonly type: 'epoch'; readonly document: DocumentId; readonly epoch: number }
  /** Something that took its time is done; what follows from it is done in this turn. */
  | { readonly type: 'done'; readonly what: string; readonly run: () => void }

/** What a connection's behaviour is made of. */
export interface Connection {
  readonly id: string
  readonly outlet: Outlet
  readonly isGone: boolean
  /** Sends itself a message, from outside of its turn. After the end it does nothing; a full mailbox ends it. */
  tell(message: ConnectionMessage): void
  /** The same, when it is the turn of those who have not proved who they are. */
  tellInTurn(message: ConnectionMessage): void
  /**
   * The client has proved who it is: it no longer counts among those who have not.
   * @param movable left out: it cannot be told to go elsewhere
   */
  admitted(movable?: Movable): void
  /** `undefined`: it cannot be told to go elsewhere. */
  readonly movable: Movable | undefined
}

/** What one kind of connection does, each in a turn of its actor. */
export interface ConnectionBehaviour {
  opened?(): void
  received(frame: string | Uint8Array): void
  /** Called every `tickMs`. */
  tick(): void
  /** A document that it reads was rebuilt. */
  rebuilt(document: DocumentId, epoch: number): void
  /** It is to close, once what its client has asked is answered. */
  end(closing: Closing, reason: string): void
  policyChanged?(): void
  /** The connection is no more. */
  ended(): void
}

/** All connections of this server. */
export interface Connections {
  begin(id: string, socket: Socket, behaviour: (connection: Connection) => ConnectionBehaviour): void
  readonly count: number
  /** Of these, the ones whose client has not proved who it is. */
  readonly unproved: number
  /** Those whose client can be told to go elsewhere. */
  movable(): MovableConnection[]
  tellAll(message: ConnectionMessage): void
  /** Resolves when all are gone, or after so long. */
  emptied(withinMs: number): Promise<void>
  /** Asks every connection to end, once what its client has asked is answered; resolves when all are gone or the time is up. */
  end(closing: Closing, reason: string): Promise<void>
}

export function createConnections(
  actors: ActorSystem,
  clock: Clock,
  telemetry: Telemetry,
  limits: AccessLimits,
): Connections {
  const live = new Rounds<LiveConnection>(clock, limits.tickMs, connection => connection.tick())
  /** Begun, and not yet an actor. */
  const beginning = new Map<string, LiveConnection>()
  const waiting = new Set<() => void>()
  let unproved = 0

  /** A connection that failed is closed, not restarted: the state that it had belonged to its socket. */
  const kind: ActorKind<ConnectionMessage> = {
    name: 'session',
    create(id) {
      const connection = beginning.get(id)
      beginning.delete(id)
      return connection ?? over
    },
    supervision: { maxRestarts: 0 },
  }

  const host: Host = {
    deadlineMs: limits.authenticationDeadlineMs,
    proved: () => {
      unproved -= 1
    },
    closed(connection) {
      live.delete(connection)
      beginning.delete(connection.id)
      telemetry.count('cpns_access_closed_total', { why: connection.outlet.closing ?? 'client' })
      if (live.size === 0) for (const resolve of waiting) resolve()
    },
  }

  return {
    get count() {
      return live.size
    },
    get unproved() {
      return unproved
    },

    begin(id, socket, create) {
      const outlet = createOutlet(socket, clock, limits)
      const connection = new LiveConnection(id, socket, outlet, actors.actor(kind, id), host)
      unproved += 1
      live.add(connection)
      beginning.set(id, connection)
      connection.begin(create(connection))
    },

    movable: () => [...live].filter(isMovable),

    tellAll(message) {
      for (const connection of live) connection.tell(message)
    },

    emptied,

    async end(closing, reason) {
      for (const connection of live) connection.tell({ type: 'end', closing, reason })
      await emptied(limits.stopMs)
    },
  }

  async function emptied(withinMs: number): Promise<void> {
    if (live.size === 0) return
    await new Promise<void>(resolve => {
      const done = () => {
        cancel()
        waiting.delete(done)
        resolve()
      }
      const cancel = clock.after(withinMs, done)
      waiting.add(done)
    })
  }
}

const isMovable = (connection: LiveConnection): connection is LiveConnection & MovableConnection =>
  connection.movable !== undefined && connection.outlet.closing === undefined

/** What all connections of a server have in common. */
interface Host {
  readonly deadlineMs: number
  /** One more has proved who it is, or has gone without. */
  proved(): void
  closed(connection: LiveConnection): void
}

/** A connection, as its socket, its actor and its behaviour see it. */
class LiveConnection implements Connection, SocketEvents, Behaviour<ConnectionMessage> {
  readonly id: string
  readonly outlet: Outlet
  movable: Movable | undefined
  readonly #socket: Socket
  readonly #ref: ActorRef<ConnectionMessage>
  readonly #host: Host
  #behaviour: ConnectionBehaviour | undefined
  #isProved = false
  isGone = false
  /** A tick was sent and is not handled yet: another one would say nothing more. */
  #isTickDue = false
  #cancelDeadline: Cancel | undefined

  constructor(id: string, socket: Socket, outlet: Outlet, ref: ActorRef<ConnectionMessage>, host: Host) {
    this.id = id
    this.outlet = outlet
    this.#socket = socket
    this.#ref = ref
    this.#host = host
  }

  begin(behaviour: ConnectionBehaviour): void {
    this.#behaviour = behaviour
    this.#socket.listen(this)
    this.tell({ type: 'opened' })
  }

  tell(message: ConnectionMessage): void {
    if (this.isGone) return
    try {
      this.#ref.tell(message)
    } catch (error) {
      // A stopped actor has closed its socket, and hears no more of it.
      if (error instanceof MailboxFull) this.outlet.close('messageRate', 'Too many messages at once.')
    }
  }

  tellInTurn(message: ConnectionMessage): void {
    if (this.#socket.inTurn) this.#socket.inTurn(() => this.tell(message))
    else this.tell(message)
  }

  tick(): void {
    if (this.#isTickDue) return
    this.#isTickDue = true
    this.tell({ type: 'tick' })
  }

  admitted(movable?: Movable): void {
    this.#proved()
    this.#socket.proved?.()
    this.movable = movable
  }

  message(frame: string | Uint8Array): void {
    this.tell({ type: 'frame', frame })
  }

  closed(): void {
    this.tell({ type: 'gone' })
    this.isGone = true
    this.#proved()
    this.#host.closed(this)
  }

  started(context: ActorContext<ConnectionMessage>): void {
    if (!this.#isProved) this.#cancelDeadline = context.after(this.#host.deadlineMs, { type: 'deadline' })
  }

  mayPassivate(): boolean {
    return false
  }

  receive({ message }: Envelope<ConnectionMessage>, context: ActorContext<ConnectionMessage>): void {
    switch (message.type) {
      case 'opened':
        this.#behaviour?.opened?.()
        break
      case 'frame':
        this.#behaviour?.received(message.frame)
        break
      case 'tick':
        this.#isTickDue = false
        this.#behaviour?.tick()
        break
      case 'epoch':
        this.#behaviour?.rebuilt(message.document, message.epoch)
        break
      case 'policy':
        this.#behaviour?.policyChanged?.()
        break
      case 'done':
        message.run()
        break
      case 'deadline':
        this.outlet.close('notAuthorised', 'Not authenticated in time.')
        break
      case 'end':
        this.#behaviour?.end(message.closing, message.reason)
        break
      case 'gone':
        context.stop()
    }
  }

  stopped(reason: StopReason): void {
    this.#behaviour?.ended()
    this.outlet.close(reason === 'drained' ? 'shuttingDown' : 'internal', 'The server has ended this connection.')
  }

  /** Once. */
  #proved(): void {
    if (this.#isProved) return
    this.#isProved = true
    this.#cancelDeadline?.()
    this.#cancelDeadline = undefined
    this.#host.proved()
  }
}

/** What an actor is when its connection is gone already. */
const over: Behaviour<ConnectionMessage> = {
  receive: (_envelope, context) => context.stop(),
}
