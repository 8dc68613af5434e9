import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { systemClock } from '../../src/adapters/clock.ts'
import { libp2pStream } from '../../src/adapters/libp2p-stream.ts'
import { protocolVersions } from '../../src/federation/create-federation.ts'
import type { CommandAnswer, ForwardedCommand } from '../../src/federation/federation.ts'
import { type Greeted, greet } from '../../src/federation/greeting.ts'
import { helloProtocol, syncProtocol } from '../../src/federation/link.ts'
import { encodeManifest, type SignedManifest } from '../../src/federation/manifest.ts'
import { requestProtocol } from '../../src/federation/requests.ts'
import { decodeAnswer, encodeRequest } from '../../src/federation/wire-requests.ts'
import { decodeSync, encodeSync, type SyncMessage } from '../../src/federation/wire-sync.ts'
import type { ServerId } from '../../src/ports/names.ts'
import { type PeerStream, StreamClosed } from '../../src/ports/peer-network.ts'
import type { TestServer } from '../fixtures/operators.ts'
import { until } from '../fixtures/until.ts'

/** Above what a server takes: nothing keeps this side from sending more. */
const maxFrameBytes = 64 * 1024 * 1024

export interface Target {
  readonly id: ServerId
  /** A multiaddress. */
  readonly address: string
}

/** Why what it was about when it left is cut off. */
export const leaving = 'The hostile server leaves.'

/**
 * A server of a trusted operator that means harm: its key and its manifest are good, it speaks over real libp2p, and nothing of what
 * it says has passed any check. Connected to one server; what it sends, and whether it reads, is up to the test.
 */
export class HostileServer {
  readonly server: TestServer
  readonly #target: Target
  readonly #floodRounds: number
  readonly #dial: () => Promise<void>
  readonly #open: (protocol: string) => Promise<Stream>
  readonly #stop: () => Promise<void>
  /** Streams that the other server opened and nobody has taken yet. */
  readonly #opened: Stream[] = []

  private constructor(
    server: TestServer,
    target: Target,
    floodRounds: number,
    node: {
      readonly dial: () => Promise<void>
      readonly open: (protocol: string) => Promise<Stream>
      readonly stop: () => Promise<void>
    },
  ) {
    this.server = server
    this.#target = target
    this.#floodRounds = floodRounds
    this.#dial = node.dial
    this.#open = node.open
    this.#stop = node.stop
  }

  /** @param floodRounds how long its floods are: as many as show what they do where both sides share a processor */
  static async start(server: TestServer, target: Target, floodRounds = 300): Promise<HostileServer> {
    const node = await createLibp2p({
      privateKey: await generateKeyPairFromSeed('Ed25519', server.privateKey),
      transports: [tcp()],
      connectionEncrypters: [noise()],
      // As servers have it: so much comes unread, and no more.
      streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: 1024 * 1024 } })],
      connectionManager: { reconnectRetries: 0 },
    })
    const address = multiaddr(`${target.address}/p2p/${target.id}`)
    const hostile = new HostileServer(server, target, floodRounds, {
      dial: async () => void (await node.dial(address)),
      open: protocol => node.dialProtocol(address, protocol),
      async stop() {
        // It does not wait until what it has sent was taken.
        for (const connection of node.getConnections()) connection.abort(new Error(leaving))
        await node.stop()
      },
    })
    for (const protocol of [helloProtocol, syncProtocol])
      await node.handle(protocol, stream => void hostile.#opened.push(stream))
    return hostile
  }

  /** Connects, and opens a stream. Returns whether the other server has taken it. */
  async isLetIn(): Promise<boolean> {
    try {
      await this.#dial()
      await this.#open(helloProtocol)
      return true
    } catch {
      return false
    }
  }

  /** Another one, against the same server. */
  beside(server: TestServer): Promise<HostileServer> {
    return HostileServer.start(server, this.#target, this.#floodRounds)
  }

  get speaksFirst(): boolean {
    return this.server.id < this.#target.id
  }

  /** Connects, and greets as its protocol wants it. @param manifests what it says of its operator */
  async greet(manifests: readonly SignedManifest[], timeoutMs = 60_000): Promise<Greeted> {
    const clock = systemClock({ holdsProcess: true })
    await this.#dial()
    const stream = await this.#streamOf(helloProtocol)
    const hello = () => ({
      versions: protocolVersions,
      operator: manifests[0]?.manifest.operator ?? this.server.identity.operator,
      manifests: manifests.map(encodeManifest),
      run: new Uint8Array(16),
      clock: Date.now(),
    })
    try {
      return await greet(this.#framed(stream), { hello, judge: async () => undefined }, { clock, timeoutMs })
    } catch (error) {
      // Who is refused may find the connection closed before it has heard why.
      if (error instanceof StreamClosed) return { ok: false, by: 'peer', reason: error.message }
      throw error
    }
  }

  /** Greets, and has the stream of sync: up, as the other server sees it. */
  async link(manifests: readonly SignedManifest[]): Promise<HostileLink> {
    const greeted = await this.greet(manifests)
    if (!greeted.ok) throw new Error(`It was refused: ${greeted.reason}.`)
    const stream = await this.#streamOf(syncProtocol)
    return new HostileLink(stream, this.#framed(stream), this.#floodRounds)
  }

  /** A stream that it opens, out of turn or not. */
  async open(protocol: string): Promise<PeerStream> {
    return this.#framed(await this.#open(protocol))
  }

  /** Forwards a command. `undefined` when there is no answer. */
  async request(command: ForwardedCommand): Promise<CommandAnswer | undefined> {
    try {
      const stream = await this.open(requestProtocol)
      await stream.send(encodeRequest({ command, timeoutMs: 30_000 }))
      await stream.close()
      const first = await stream.frames[Symbol.asyncIterator]().next()
      return first.done ? undefined : decodeAnswer(first.value)
    } catch (error) {
      if (error instanceof StreamClosed) return undefined
      throw error
    }
  }

  stop(): Promise<void> {
    return this.#stop()
  }

  /** Opens one, or takes the one that the other server opens, whoever's turn it is. */
  async #streamOf(protocol: string): Promise<Stream> {
    if (this.speaksFirst) return this.#open(protocol)
    return until(() => this.#taken(protocol), { what: `the other server opens ${protocol}` })
  }

  #taken(protocol: string): Stream | undefined {
    const at = this.#opened.findIndex(stream => stream.protocol === protocol)
    return at < 0 ? undefined : this.#opened.splice(at, 1)[0]
  }

  readonly #framed = (stream: Stream): PeerStream => libp2pStream(stream, this.#target.id, maxFrameBytes)
}

/** The stream of sync of a hostile server. */
export class HostileLink {
  readonly #raw: Stream
  readonly #stream: PeerStream
  readonly #rounds: number
  #isOver = false

  constructor(raw: Stream, stream: PeerStream, rounds: number) {
    this.#raw = raw
    this.#stream = stream
    this.#rounds = rounds
    raw.addEventListener('close', () => {
      this.#isOver = true
    })
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Says these one after another, as fast as they are taken, or until it is cut off. */
  async say(...messages: readonly SyncMessage[]): Promise<void> {
    await this.frames(...messages.map(encodeSync))
  }

  /** Sends these whatever they are. */
  async frames(...frames: readonly Uint8Array[]): Promise<void> {
    try {
      for (const frame of frames) await this.#stream.send(frame)
    } catch (error) {
      if (!(error instanceof StreamClosed)) throw error
      this.#isOver = true
    }
  }

  /** Bytes as they are, without a length before them. */
  bytes(bytes: Uint8Array): void {
    if (!this.#isOver) this.#raw.send(bytes)
  }

  /** Says much, or less if the link is over before. */
  async flood(next: (round: number) => readonly SyncMessage[]): Promise<void> {
    for (let round = 0; !this.#isOver && round < this.#rounds; round++) await this.say(...next(round))
  }

  /** Hears what comes until the link is over, and may reply. */
  async hear(heard: (message: SyncMessage) => readonly SyncMessage[] | undefined): Promise<void> {
    try {
      for await (const frame of this.#stream.frames) {
        const replies = heard(decodeSync(frame))
        if (replies) await this.say(...replies)
      }
    } catch (error) {
      if (!(error instanceof StreamClosed)) throw error
    }
  }

  /** Goes on saying that it is there, and more if it is to, until the link is over. */
  async beat(...more: readonly SyncMessage[]): Promise<void> {
    while (!this.#isOver) {
      await this.say({ type: 'beat', clock: Date.now(), usedPercent: 0 }, ...more)
      await new Promise(resolve => setTimeout(resolve, 200))
    }
  }

  /** Takes nothing any more. */
  deafen(): void {
    this.#raw.pause()
  }
}
