import {
  type ClientListener,
  ConnectFailed,
  ListenRefused,
  type SocketFactory,
  type Upgrade,
  type UpgradeAnswer,
} from '../ports/client-sockets.ts'
import type { AnswerRequest } from '../ports/http.ts'
import type { Party } from './end.ts'
import { serveSimulated } from './http.ts'
import type { Undo } from './network.ts'
import { never } from './run.ts'
import type { Scheduled, Scheduler } from './scheduler.ts'
import { SimulatedSocket, type SocketContent } from './socket.ts'
import { type Attempt, NotConnected, PortTaken, type Transport } from './transport.ts'

/** TCP and TLS; the upgrade takes one more. */
const handshakeRoundTrips = 3
const connectTimeoutUs = 10_000_000
/** As in production: what a server takes from a client, and a client from a server. */
const listenerPayloadBytes = 1024 * 1024
const clientPayloadBytes = 8 * 1024 * 1024
/** A connection that is silent over two pings is dropped. */
const pingEveryUs = 30_000_000

/** Who takes part in the network, and by what. */
export interface SocketPlace {
  readonly scheduler: Scheduler
  readonly transport: Transport<SocketContent>
  readonly party: Party
}

/** Where clients attach to one run of a server. */
export function simulatedListener({ scheduler, transport, party }: SocketPlace, port = 8080): ClientListener {
  const sockets = new Set<SimulatedSocket>()
  let listening: { readonly deaf: Undo; sweep: Scheduled } | undefined

  async function answer(attempt: Attempt<SocketContent>, decide: Decide, requests: AnswerRequest): Promise<void> {
    if (attempt.hello.kind !== 'upgrade') return serveSimulated(attempt, requests, scheduler)
    const { target, origin, subprotocols } = attempt.hello
    const decision = await decided({ target, origin, subprotocols, remoteAddress: attempt.remote.address }, decide)
    if (!decision.accept) {
      attempt.accept({ kind: 'refused', status: decision.status, reason: decision.reason })?.finish('refused')
      return
    }
    const end = listening && attempt.accept({ kind: 'upgraded' })
    if (!end) return attempt.refuse('the server has stopped')
    const socket = new SimulatedSocket(end, scheduler, listenerPayloadBytes, () => sockets.delete(socket))
    sockets.add(socket)
    decision.opened(socket)
  }

  /** Half-open connections never close by themselves. */
  function sweep(): Scheduled {
    return scheduler.after(
      pingEveryUs,
      'sweep',
      () => {
        for (const socket of [...sockets]) socket.pingOrDrop()
        if (listening) listening.sweep = sweep()
      },
      party.run,
    )
  }

  return {
    async listen(decide, requests = async () => undefined) {
      if (!party.run.admits()) return never()
      if (listening) throw new ListenRefused('This listener listens already.')
      try {
        const deaf = transport.listen(party, port, attempt => void answer(attempt, decide, requests))
        listening = { deaf, sweep: sweep() }
      } catch (error) {
        if (error instanceof PortTaken) throw new ListenRefused(error.message)
        throw error
      }
    },

    url() {
      if (!listening) throw new Error('The listener has no URL before it listens.')
      return `ws://${party.station.address}:${port}`
    },

    refuseNew() {
      if (party.run.admits()) listening?.deaf()
    },

    async stop() {
      if (!party.run.admits()) return never()
      listening?.deaf()
      listening?.sweep.cancel()
      listening = undefined
      for (const socket of [...sockets]) socket.terminate()
    },
  }
}

type Decide = (upgrade: Upgrade) => UpgradeAnswer | Promise<UpgradeAnswer>

/** A decision that fails refuses, as over HTTP. */
async function decided(upgrade: Upgrade, decide: Decide): Promise<UpgradeAnswer> {
  try {
    return await decide(upgrade)
  } catch {
    return { accept: false, status: 500, reason: 'The server could not decide about this connection.' }
  }
}

/** Websockets from one run of a client. */
export function simulatedSockets({ scheduler, transport, party }: SocketPlace): SocketFactory {
  return {
    async connect(url, subprotocols) {
      if (!party.run.admits()) return never()
      const { hostname, port, pathname, search } = parsed(url)
      const upgrade = { kind: 'upgrade', target: pathname + search, origin: undefined, subprotocols } as const
      try {
        const to = { address: hostname, port: Number(port || 80) }
        const options = { roundTrips: handshakeRoundTrips, timeoutUs: connectTimeoutUs }
        const { end, answer } = await transport.connect(party, to, upgrade, options)
        if (answer.kind !== 'refused') return new SimulatedSocket(end, scheduler, clientPayloadBytes)
        end.abort('refused')
        throw new ConnectFailed(`${url} refused the connection with status ${answer.status}: ${answer.reason}`)
      } catch (error) {
        if (error instanceof NotConnected) throw new ConnectFailed(`${url} cannot be reached: ${error.message}`)
        throw error
      }
    },
  }
}

function parsed(url: string): URL {
  if (URL.canParse(url)) return new URL(url)
  throw new ConnectFailed(`"${url}" is no URL.`)
}
