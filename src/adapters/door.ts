import { Server } from 'node:net'

/** Lower ports take rights that the process may have given up since it has bound one. */
const unprivileged = 1024
/** Until it is tried again to get a port back. */
const againMs = 100
/**
 * Connections that the system takes at a port that was opened again, before this process does: many times what comes within a turn of
 * the event loop. Those that are left when the port is given up are ended one by one meanwhile: five hundred, as Node would have them,
 * in 6 to 10 ms for which everybody waits, twice a second.
 */
const mostUntaken = 64

/** The port where a server listens. */
export interface Door {
  /** Nobody comes in until it is opened. */
  shut(): void
  open(): void
  /** Nobody comes in any more. */
  close(): void
}

export interface DoorOptions {
  /** Ports below are never given up. */
  readonly firstFreePort?: number
  /** It was shut. */
  readonly shut?: () => void
  /** It cannot be opened; it is tried again and again. Once for each such time. */
  readonly lost?: (error: Error) => void
  /** After that: it is open again. */
  readonly regained?: () => void
  /** While it is open: a connection could not be taken. */
  readonly failed?: (error: Error) => void
}

/**
 * The door of a server, to be shut for some tenths of a second while nobody more is to come. Node takes every connection that the
 * system offers, and to end one that was taken costs a tenth of what it costs to authenticate a client: among a crowd five times as
 * large as can be served that is a third of what the server could do. A port at which nobody listens is refused by the system: at once,
 * so that a client tries another server, and at no cost to this process. Those whom the system has taken by then are ended by it, too.
 *
 * Meanwhile the port is nobody's. If another program takes it, or it must not be bound again, `lost` hears so. Ports that only
 * the privileged may bind are never given up: there connections are taken and ended.
 *
 * @param address where it listens, as a literal
 */
export function doorOf(server: Server, address: string, options: DoorOptions = {}): Door {
  const { firstFreePort = unprivileged } = options
  const { maxConnections } = server
  let state: 'open' | 'held' | 'shut' | 'opening' | 'closed' = 'open'
  let port = 0
  let isLost = false
  let again: NodeJS.Timeout | undefined

  server.on('error', error => {
    if (state === 'open' && server.listening) options.failed?.(error)
    if (state !== 'opening') return
    if (!isLost) options.lost?.(error)
    isLost = true
    again = setTimeout(listen, againMs).unref()
  })
  const listens = () => {
    // Node's HTTP server begins to look for slow requests anew, a second later: in a crowd it would never look.
    for (const listener of server.listeners('listening'))
      if (listener !== listens) server.off('listening', listener as () => void)
    if (state === 'closed') return giveUp()
    state = 'open'
    if (isLost) options.regained?.()
    isLost = false
  }
  server.on('listening', listens)

  function listen(): void {
    server.listen(port, address, mostUntaken)
  }

  /** Without what an HTTP server does besides when it is closed: connections that wait for their next request are of those who are in. */
  function giveUp(): void {
    Server.prototype.close.call(server)
  }

  return {
    shut() {
      const bound = server.address()
      if (state !== 'open' || !bound || typeof bound === 'string') return
      options.shut?.()
      port = bound.port
      if (port < firstFreePort) {
        state = 'held'
        server.maxConnections = 0
      } else {
        state = 'shut'
        giveUp()
      }
    },
    open() {
      if (state === 'held') {
        state = 'open'
        server.maxConnections = maxConnections
      } else if (state === 'shut') {
        state = 'opening'
        listen()
      }
    },
    close() {
      state = 'closed'
      clearTimeout(again)
      if (server.listening) giveUp()
    },
  }
}
