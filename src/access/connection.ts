import { MailboxFull } from '../actor/errors.ts'
import type { ActorKind, ActorSystem, Behaviour } from '../actor/types.ts'
import type { Socket } from '../ports/client-sockets.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { DocumentReader } from './document-reader.ts'
import type { SharedFrame } from './frames.ts'
import type { Movable, MovableConnection } from './leaving.ts'
import type { AccessLimits } from './limits.ts'
import { createOutlet, type Outlet } from './outlet.ts'
import type { Closing } from './protocol.ts'

/** What can happen to a connection, one at a time: each is an actor. */
export type ConnectionMessage =
  | { readonly type: 'frame'; readonly frame: string | Uint8Array }
  /** The socket is closed, whoever closed it. */
  | { readonly type: 'gone' }
  | { readonly type: 'tick' }
  /** It has not authenticated in time. */
  | { readonly type: 'deadline' }
  | { readonly type: 'end'; readonly closing: Closing; readonly reason: string }
  /** A document that it reads has changed, or was rebuilt. */
  | { readonly type: 'update'; readonly reader: DocumentReader; readonly frame: SharedFrame }
  | { readonly type: 'epoch'; readonly document: DocumentId; readonly epoch: number }
  /** Something that took its time is done; what follows from it is done in this turn. */
  | { readonly type: 'done'; readonly what: string; readonly run: () => void }

/** What a connection's behaviour is made of. */
export interface Connection {
  readonly id: string
  readonly outlet: Outlet
  /** Sends itself a message, from outside of its turn. After the end it does nothing; a full mailbox ends it. */
  tell(message: ConnectionMessage): void
  /**
   * The client has proved who it is: it no longer counts among those who have not.
   * @param movable left out: it cannot be told to go elsewhere
   */
  admitted(movable?: Movable): void
}

export type ConnectionBehaviour = Behaviour<ConnectionMessage>

/** All connections of this server. */
export interface Connections {
  begin(id: string, socket: Socket, behaviour: (connection: Connection) => ConnectionBehaviour): void
  readonly count: number
  /** Of these, the ones whose client has not proved who it is. */
  readonly unproved: number
  /** Those whose client can be told to go elsewhere, in the order in which they came. */
  movable(): MovableConnection[]
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
  const live = new Map<
    string,
    { readonly connection: Connection; behaviour: ConnectionBehaviour | undefined; movable?: Movable | undefined }
  >()
  const unproved = new Set<string>()
  const waiting = new Set<() => void>()

  /** A connection that failed is closed, not restarted: the state that it had belonged to its socket. */
  const kind: ActorKind<ConnectionMessage> = {
    name: 'session',
    create: id => take(id) ?? ended,
    supervision: { maxRestarts: 0 },
  }

  function take(id: string): ConnectionBehaviour | undefined {
    const entry = live.get(id)
    const behaviour = entry?.behaviour
    if (entry) entry.behaviour = undefined
    return behaviour
  }

  return {
    get count() {
      return live.size
    },
    get unproved() {
      return unproved.size
    },

    begin(id, socket, create) {
      const ref = actors.actor(kind, id)
      const outlet = createOutlet(socket, clock, limits)
      const tell = (message: ConnectionMessage) => {
        if (!live.has(id)) return
        try {
          ref.tell(message)
        } catch (error) {
          // A stopped actor has closed its socket, and hears no more of it.
          if (error instanceof MailboxFull) outlet.close('messageRate', 'Too many messages at once.')
        }
      }
      const admitted = (movable?: Movable) => {
        unproved.delete(id)
        socket.proved?.()
        const entry = live.get(id)
        if (entry) entry.movable = movable
      }
      const connection = { id, outlet, tell, admitted }
      unproved.add(id)
      live.set(id, { connection, behaviour: create(connection) })
      socket.listen({
        message: frame => tell({ type: 'frame', frame }),
        closed: () => {
          tell({ type: 'gone' })
          live.delete(id)
          unproved.delete(id)
          telemetry.count('cpns_access_closed_total', { why: outlet.closing ?? 'client' })
          if (live.size === 0) for (const resolve of waiting) resolve()
        },
      })
      tell({ type: 'tick' })
    },

    movable: () =>
      [...live.values()].flatMap(({ connection, movable }) =>
        movable && connection.outlet.closing === undefined ? [{ ...connection, movable }] : [],
      ),

    emptied,

    async end(closing, reason) {
      for (const { connection } of live.values()) connection.tell({ type: 'end', closing, reason })
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

/** What an actor is when its connection is gone already. */
const ended: ConnectionBehaviour = {
  receive: (_envelope, context) => context.stop(),
}
