import { join } from 'node:path'
import type { ServerFolder } from '../../examples/support/operators.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import { libp2pNetwork } from '../../src/adapters/libp2p-network.ts'
import { readServerKeys } from '../../src/adapters/operator-keys.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { protocolVersions } from '../../src/federation/create-federation.ts'
import type { CommandAnswer, ForwardedCommand } from '../../src/federation/federation.ts'
import { type Greeted, greet } from '../../src/federation/greeting.ts'
import { helloProtocol, syncProtocol } from '../../src/federation/link.ts'
import { encodeManifest, parseManifest } from '../../src/federation/manifest.ts'
import { requestProtocol, sendRequest } from '../../src/federation/requests.ts'
import { maxFrameBytes } from '../../src/federation/wire-shapes.ts'
import { decodeSync, type SyncMessage } from '../../src/federation/wire-sync.ts'
import { operatorId, serverId } from '../../src/ports/names.ts'
import { type PeerStream, PeerUnreachable, StreamClosed } from '../../src/ports/peer-network.ts'

/**
 * Somebody who has a server's key and speaks the protocol, but keeps no rule of it: shows whatever manifest it likes,
 * takes everybody, asks for everything, and has commands executed that nobody gave.
 */
export interface RoguePeer {
  /** How the other side took its greeting. */
  readonly greeted: Greeted
  /** What came on the stream of sync, which it opens or takes whether or not it was accepted. */
  readonly heard: readonly SyncMessage[]
  /** Forwards a command. `undefined` when there is no answer. */
  request(command: ForwardedCommand): Promise<CommandAnswer | undefined>
  stop(): Promise<void>
}

/** Connects to `target` with the key of `identity`, and greets it with the text of a signed manifest. */
export async function roguePeer(identity: ServerFolder, target: ServerFolder, manifest: string): Promise<RoguePeer> {
  const clock = systemClock({ holdsProcess: true })
  const { privateKey } = await readServerKeys(join(identity.folder, 'keys/server.key'))
  const network = libp2pNetwork({ privateKey, listen: [] })
  const peer = serverId(target.serverId)
  const heard: SyncMessage[] = []
  const greeting = Promise.withResolvers<Greeted>()
  const greeter = {
    hello: () => ({
      versions: protocolVersions,
      operator: operatorId(identity.operator),
      manifests: [encodeManifest(parseManifest(manifest))],
      run: systemRandom().bytes(16),
      clock: clock.now(),
    }),
    judge: async () => undefined,
  }

  function take(stream: PeerStream): void {
    if (stream.protocol === helloProtocol) {
      greet(stream, greeter, { clock, timeoutMs: 60_000 }).then(greeting.resolve, greeting.reject)
    } else if (stream.protocol === syncProtocol) void listen(stream)
  }

  async function listen(stream: PeerStream): Promise<void> {
    try {
      for await (const frame of stream.frames) heard.push(decodeSync(frame))
    } catch (error) {
      if (!(error instanceof StreamClosed)) throw error
    }
  }

  await network.start({
    protocols: [helloProtocol, syncProtocol, requestProtocol],
    maxFrameBytes,
    gate: { refuse: () => undefined },
    events: { connected() {}, disconnected() {}, refused() {}, stream: take },
  })
  try {
    await network.dial(peer, [`/ip4/127.0.0.1/tcp/${target.link.port}`])
    const speaksFirst = network.self < peer
    if (speaksFirst) take(await network.open(peer, helloProtocol))
    const greeted = await greeting.promise
    if (speaksFirst) await network.open(peer, syncProtocol).then(take, ignoreUnreachable)
    return {
      greeted,
      heard,
      async request(command) {
        const sent = await sendRequest(peer, command, 60_000, { network, clock })
        return sent.type === 'answered' ? sent.answer : undefined
      },
      stop: () => network.stop(),
    }
  } catch (error) {
    await network.stop()
    throw error
  }
}

/** Whoever was refused finds the connection closed. */
function ignoreUnreachable(error: unknown): void {
  if (!(error instanceof PeerUnreachable)) throw error
}
