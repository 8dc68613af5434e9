import { tokenBucket } from '../federation/token-bucket.ts'
import type { Clock } from '../ports/clock.ts'
import type { Connection, ConnectionBehaviour } from './connection.ts'
import { DocumentReader } from './document-reader.ts'
import type { Feeds } from './feeds.ts'
import { encodeMessage, parseMessage } from './frames.ts'
import type { AccessLimits } from './limits.ts'
import { type MayRead, mayStillRead } from './may-read.ts'
import type { Ticket } from './tickets.ts'

export interface DocumentConnectionOptions {
  readonly connection: Connection
  readonly ticket: Ticket
  readonly feeds: Feeds
  readonly mayRead: MayRead
  readonly clock: Clock
  readonly limits: AccessLimits
}

const keepAlive = encodeMessage({ kind: 'awareness' })

/** A stock y-websocket client that reads one document: every frame is one y-protocol message. */
export function documentConnection(options: DocumentConnectionOptions): ConnectionBehaviour {
  const { connection, ticket, feeds, mayRead, clock, limits } = options
  const { outlet } = connection
  const { document, principal } = ticket
  const frames = tokenBucket(limits.framesPerSecond, limits.frameBurst, clock.elapsed())
  const reader = new DocumentReader({ document, connection, form: 'bare' })
  let checkedMs = clock.elapsed()

  function follow() {
    feeds.follow(document, reader).then(
      following => reader.follow(following),
      () => reader.failed(),
    )
  }

  function receive(frame: string | Uint8Array) {
    if (frames.take(clock.elapsed()) > 0) return outlet.close('messageRate', 'Too many messages.')
    if (typeof frame === 'string') return outlet.close('protocolError', 'y-protocol messages are binary.')
    const message = parseMessage(frame)
    if (message) return reader.receive(message)
    outlet.close('protocolError', 'This is no y-protocol message.')
  }

  function tick() {
    if (ticket.expires <= clock.now()) return outlet.close('documentWithdrawn', 'The ticket has expired.')
    outlet.tick(keepAlive)
    if (clock.elapsed() - checkedMs < limits.recheckMs) return
    checkedMs = clock.elapsed()
    void mayStillRead(mayRead, principal, document).then(still => {
      if (!still)
        connection.tell({ type: 'end', closing: 'documentWithdrawn', reason: 'You may no longer read this document.' })
    })
  }

  return {
    opened: follow,
    received: receive,
    tick,
    rebuilt: () => outlet.close('documentRebuilt', 'The document was rebuilt: read it into a fresh Y.Doc.'),
    end: (closing, reason) => outlet.close(closing, reason),
    ended: () => reader.close(),
  }
}
