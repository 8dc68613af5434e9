import { Doc, encodeStateAsUpdate } from 'yjs'
import { openEntry, sealEntry } from '../document/entry.ts'
import { clientIdOf } from '../document/log.ts'
import { syncProtocol } from '../federation/link.ts'
import { decodeSync, encodeSync } from '../federation/wire-sync.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { ServerIdentity } from '../ports/identity.ts'
import type { LogId } from '../ports/names.ts'
import type { PeerNetwork, PeerStream } from '../ports/peer-network.ts'
import type { RandomStream } from './random-streams.ts'

/*
 * A server that means harm, as its peers see it: the node behind it is honest, but what it sends is not. Its key is the right
 * one, so nothing but what the peers check keeps them from harm.
 */

export interface Hostility {
  /** Asked at every frame. */
  readonly isHostile: () => boolean
  readonly identity: ServerIdentity
  readonly crypto: Crypto
  readonly random: RandomStream
}

/** Entries that are tampered with, while the server is hostile. */
const tamperedShare = 0.5

/** The network of a server that may be hostile. */
export function hostileNetwork(network: PeerNetwork, hostility: Hostility): PeerNetwork {
  const forger = new Forger(hostility)
  const sending = (stream: PeerStream): PeerStream => ({
    peer: stream.peer,
    protocol: stream.protocol,
    frames: stream.frames,
    send: frame => stream.send(hostility.isHostile() && stream.protocol === syncProtocol ? forger.frame(frame) : frame),
    close: () => stream.close(),
    reset: reason => stream.reset(reason),
  })
  return {
    ...network,
    open: async (peer, protocol) => sending(await network.open(peer, protocol)),
    start: options =>
      network.start({
        ...options,
        events: { ...options.events, stream: each => options.events.stream(sending(each)) },
      }),
  }
}

/** Puts other updates into the server's own entries, and signs them; flips bits in those of others, which it cannot sign. */
class Forger {
  readonly #hostility: Hostility
  /** The hash of the last entry sent of each own log, where it is another than the true one. */
  readonly #heads = new Map<LogId, { readonly seq: number; readonly hash: Uint8Array }>()

  constructor(hostility: Hostility) {
    this.#hostility = hostility
  }

  frame(frame: Uint8Array): Uint8Array {
    const message = decodeSync(frame)
    if (message.type !== 'entries') return frame
    return encodeSync({ ...message, entries: message.entries.map(bytes => this.#forged(bytes)) })
  }

  #forged(bytes: Uint8Array): Uint8Array {
    const { identity, crypto, random } = this.#hostility
    const { entry } = openEntry(bytes, crypto)
    const isTampered = random.chance(tamperedShare)
    if (entry.server !== identity.server) return isTampered ? this.#flipped(bytes) : bytes
    const before = this.#heads.get(entry.log)
    const prev = before?.seq === entry.seq - 1 ? before.hash : entry.prev
    const update = isTampered && entry.update.length > 0 ? this.#update(entry.update, entry.log) : entry.update
    const sealed = sealEntry({ ...entry, prev, update }, identity, crypto)
    this.#heads.set(entry.log, { seq: entry.seq, hash: sealed.hash })
    return sealed.bytes
  }

  #flipped(bytes: Uint8Array): Uint8Array {
    const changed = bytes.slice()
    const at = this.#hostility.random.below(changed.length)
    changed[at] = (changed[at] ?? 0) ^ 1
    return changed
  }

  /** What is no update at all, or one of somebody else's, or of a client that writes where it may not. */
  #update(update: Uint8Array, log: LogId): Uint8Array {
    const { random, crypto } = this.#hostility
    const kind = random.below(3)
    if (kind === 0) return random.bytes(update.length)
    const doc = new Doc({ guid: log })
    doc.clientID = kind === 1 ? clientIdOf(log, crypto) : random.below(2 ** 32)
    doc.getMap('elsewhere').set('key', 'value')
    return encodeStateAsUpdate(doc)
  }
}
