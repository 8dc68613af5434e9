import type { ServerId } from '../ports/names.ts'
import { type PeerEvents, type PeerNetwork, PeerUnreachable } from '../ports/peer-network.ts'
import type { End, Party } from './end.ts'
import type { Undo } from './network.ts'
import { PeerConnection } from './peer-connection.ts'
import type { PeerContent } from './peer-stream.ts'
import { never } from './run.ts'
import type { Attempt, Transport } from './transport.ts'

/** Where servers of all hosts listen for each other. */
const peerPort = 4600
/** As in production. */
const dialTimeoutUs = 5_000_000
/** TCP, Noise and the choice of a muxer. */
const handshakeRoundTrips = 3

type StartOptions = Parameters<PeerNetwork['start']>[0]

/**
 * The peers of one run of a server, over the simulated network. As over libp2p: each side knows the other's id before
 * anything is opened, the gate is asked on both sides, and two that dial at once share what they hear of each other.
 */
export function simulatedPeerNetwork(transport: Transport<PeerContent>, party: Party, self: ServerId): PeerNetwork {
  const connections = new Map<ServerId, Set<PeerConnection>>()
  const dialling = new Map<ServerId, Promise<void>>()
  let started: { readonly options: StartOptions; readonly deaf: Undo } | undefined

  function running(): StartOptions {
    if (started) return started.options
    throw new PeerUnreachable('The network is not started, or stopped.')
  }

  const connectionTo = (peer: ServerId): PeerConnection | undefined => [...(connections.get(peer) ?? [])].at(-1)

  function refuses(peer: ServerId, { gate, events }: StartOptions): string | undefined {
    const reason = gate.refuse(peer)
    if (reason !== undefined) events.refused(peer, reason)
    return reason
  }

  function admit(end: End<PeerContent>, peer: ServerId, dialled: boolean, options: StartOptions): void {
    const { protocols, maxFrameBytes, events } = options
    const connection: PeerConnection = new PeerConnection(
      end,
      peer,
      { dialled, maxFrameBytes },
      {
        speaks: protocol => protocols.includes(protocol),
        stream: stream => events.stream(stream),
        gone: () => left(connection, events),
      },
    )
    const known = connections.get(peer)
    if (known) {
      known.add(connection)
      return
    }
    connections.set(peer, new Set([connection]))
    events.connected(peer)
  }

  function left(connection: PeerConnection, events: PeerEvents): void {
    const known = connections.get(connection.peer)
    if (!known?.delete(connection) || known.size > 0) return
    connections.delete(connection.peer)
    events.disconnected(connection.peer)
  }

  function answer(attempt: Attempt<PeerContent>, options: StartOptions): void {
    if (attempt.hello.kind !== 'hello') return
    const peer = attempt.hello.server
    if (refuses(peer, options) !== undefined) {
      attempt.refuse('it closed the connection')
      return
    }
    const end = attempt.accept({ kind: 'hello', server: self })
    if (end) admit(end, peer, false, options)
  }

  async function dialAny(peer: ServerId, addresses: readonly string[], options: StartOptions): Promise<void> {
    const reasons: string[] = []
    for (const address of addresses) {
      try {
        await dialOne(peer, address, options)
        return
      } catch (error) {
        reasons.push(error instanceof Error ? error.message : String(error))
      }
    }
    throw unreachable(peer, reasons.join('; ') || 'its manifest names no address')
  }

  async function dialOne(peer: ServerId, address: string, options: StartOptions): Promise<void> {
    const place = placeOf(address)
    if (!place) throw new Error(`"${address}" is no address`)
    const { end, answer } = await transport.connect(
      party,
      place,
      { kind: 'hello', server: self },
      {
        roundTrips: handshakeRoundTrips,
        timeoutUs: dialTimeoutUs,
      },
    )
    const server = answer.kind === 'hello' ? answer.server : undefined
    const objection = objectionTo(server, peer, options)
    if (objection !== undefined) {
      end.abort(objection)
      throw new Error(objection)
    }
    admit(end, peer, true, options)
  }

  function objectionTo(server: ServerId | undefined, peer: ServerId, options: StartOptions): string | undefined {
    if (server !== peer) return `another server answers there (${server})`
    if (started?.options !== options) return 'the network was stopped'
    return refuses(peer, options)
  }

  return {
    self,

    async start(options) {
      if (!party.run.admits()) return never()
      started = { options, deaf: transport.listen(party, peerPort, attempt => answer(attempt, options)) }
    },

    addresses: () => (started ? [`/ip4/${party.station.address}/tcp/${peerPort}`] : []),

    async dial(peer, addresses) {
      if (!party.run.admits()) return never()
      const options = running()
      if (connectionTo(peer)) return
      const underWay = dialling.get(peer)
      if (underWay) return underWay
      const dial = dialAny(peer, addresses, options).finally(() => dialling.delete(peer))
      dialling.set(peer, dial)
      return dial
    },

    async open(peer, protocol) {
      if (!party.run.admits()) return never()
      const connection = started && connectionTo(peer)
      if (!connection) throw unreachable(peer, 'there is no connection')
      try {
        return await connection.open(protocol)
      } catch (error) {
        throw unreachable(peer, error instanceof Error ? error.message : String(error))
      }
    },

    async disconnect(peer, reason) {
      if (!party.run.admits()) return never()
      for (const connection of [...(connections.get(peer) ?? [])]) connection.abort(reason)
    },

    async stop() {
      if (!party.run.admits()) return never()
      started?.deaf()
      started = undefined
      for (const known of [...connections.values()]) for (const each of [...known]) each.abort('the server has stopped')
    },
  }
}

function placeOf(multiaddress: string): { readonly address: string; readonly port: number } | undefined {
  const match = /^\/ip4\/([0-9.]+)\/tcp\/(\d+)(\/p2p\/[^/]+)?$/.exec(multiaddress)
  return match?.[1] && match[2] ? { address: match[1], port: Number(match[2]) } : undefined
}

const unreachable = (peer: ServerId, why: string): PeerUnreachable =>
  new PeerUnreachable(`${peer} cannot be reached: ${why}.`)
