import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ServerId } from '../../src/ports/names.ts'
import {
  FrameTooLarge,
  type PeerNetwork,
  type PeerStream,
  PeerUnreachable,
  StreamClosed,
} from '../../src/ports/peer-network.ts'
import { until } from '../fixtures/until.ts'

/*
 * The contract of PeerNetwork, run by every adapter. It proves that frames arrive whole, in order, or the stream ends in
 * a reset; that nobody can be made to buffer what he does not read; that the gate is asked after the peer has proved
 * itself and before anything is opened; and that connected and disconnected alternate, whoever dialled. An adapter fails
 * here if it loses or merges frames, answers `send` without bound, or tells of a peer that the gate refused.
 */

const protocol = '/test/frames/1'
const otherProtocol = '/test/other/1'
const maxFrameBytes = 300_000

/** Makes networks with keys of their own that can reach each other. */
export type MakeNetwork = () => PeerNetwork

interface Party {
  readonly network: PeerNetwork
  readonly events: string[]
  readonly streams: PeerStream[]
  /** Peers that the gate refuses, with the reason. */
  readonly refuses: Map<ServerId, string>
  stop(): Promise<void>
}

async function party(make: MakeNetwork, frameBytes = maxFrameBytes): Promise<Party> {
  const network = make()
  const events: string[] = []
  const streams: PeerStream[] = []
  const refuses = new Map<ServerId, string>()
  await network.start({
    protocols: [protocol, otherProtocol],
    maxFrameBytes: frameBytes,
    gate: { refuse: peer => refuses.get(peer) },
    events: {
      connected: peer => events.push(`connected ${peer}`),
      disconnected: peer => events.push(`disconnected ${peer}`),
      refused: (peer, reason) => events.push(`refused ${peer} ${reason}`),
      stream: stream => streams.push(stream),
    },
  })
  return { network, events, streams, refuses, stop: () => network.stop() }
}

const bytes = (length: number, seed = 1) => Uint8Array.from({ length }, (_, index) => (index * 31 + seed * 17) & 0xff)
const dial = (from: Party, to: Party) => from.network.dial(to.network.self, to.network.addresses())

async function stream(from: Party, to: Party, which = protocol): Promise<[near: PeerStream, far: PeerStream]> {
  const near = await from.network.open(to.network.self, which)
  // Some muxers tell the other side of a stream only with its first bytes.
  await near.send(bytes(1))
  const far = await until(() => to.streams.shift(), { what: 'the stream at the other side' })
  const first = await reader(far).next()
  assert.equal(first.value, bytes(1))
  return [near, far]
}

/** Frames are to be iterated once: one iterator for each stream. */
const readers = new WeakMap<PeerStream, AsyncIterator<Uint8Array>>()
function reader(stream: PeerStream): AsyncIterator<Uint8Array> {
  const known = readers.get(stream)
  if (known) return known
  const made = stream.frames[Symbol.asyncIterator]()
  readers.set(stream, made)
  return made
}

async function rejects<E extends Error>(promise: Promise<unknown>, type: new (...args: never[]) => E): Promise<E> {
  try {
    await promise
  } catch (error) {
    if (error instanceof type) return error
    throw error
  }
  throw new Error(`should have failed with ${type.name}`)
}

/** Runs the contract against an adapter. */
export function peerNetworkContract(name: string, make: MakeNetwork): void {
  const test = suite(`PeerNetwork: ${name}`)
  let parties: Party[] = []
  const start = async (frameBytes?: number) => {
    const started = await party(make, frameBytes)
    parties.push(started)
    return started
  }
  const pair = async (): Promise<[Party, Party]> => {
    const [a, b] = [await start(), await start()]
    await dial(a, b)
    await until(() => b.events.length > 0, { what: 'b to hear of the connection' })
    return [a, b]
  }
  test.after.each(async () => {
    for (const each of parties) await each.stop()
    parties = []
  })

  test('frames of every size arrive whole and in order, either way', async () => {
    const [a, b] = await pair()
    const [near, far] = await stream(a, b)
    assert.is(near.peer, b.network.self)
    assert.is(far.peer, a.network.self)
    assert.is(far.protocol, protocol)
    const sizes = [0, 1, 127, 128, 16_383, 16_384, 65_536, maxFrameBytes, 3, 200_000]
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      const sent = (async () => {
        for (const [index, size] of sizes.entries()) await from.send(bytes(size, index))
      })()
      for (const [index, size] of sizes.entries()) {
        const { value } = await reader(to).next()
        assert.is(Buffer.compare(value, bytes(size, index)), 0, `frame of ${size} bytes`)
      }
      await sent
    }
  })

  test('close: what was sent arrives, then the end; the other direction goes on', async () => {
    const [near, far] = await stream(...(await pair()))
    await near.send(bytes(70_000))
    await near.close()
    assert.is((await reader(far).next()).value.length, 70_000)
    assert.is((await reader(far).next()).done, true)
    await far.send(bytes(5))
    assert.is((await reader(near).next()).value.length, 5)
    await rejects(near.send(bytes(1)), StreamClosed)
    await far.close()
    assert.is((await reader(near).next()).done, true)
  })

  test('reset: the peer hears of it, and nothing can be sent any more', async () => {
    const [near, far] = await stream(...(await pair()))
    near.reset('tried out')
    await rejects(reader(far).next(), StreamClosed)
    await rejects(near.send(bytes(1)), StreamClosed)
    await until(() => rejects(far.send(bytes(1)), StreamClosed), { what: 'sending to fail at the other side' })
  })

  test('a frame that is too long is refused by the sender, and resets the stream at a receiver that allows less', async () => {
    const [near, far] = await stream(...(await pair()))
    await rejects(near.send(bytes(maxFrameBytes + 1)), FrameTooLarge)
    await near.send(bytes(9))
    assert.is((await reader(far).next()).value.length, 9)

    const [a, strict] = [await start(), await start(1_000)]
    await dial(a, strict)
    const [long, narrow] = await stream(a, strict)
    const sent = long.send(bytes(200_000)).catch(() => {})
    await rejects(reader(narrow).next(), FrameTooLarge)
    await sent
    await rejects(reader(long).next(), StreamClosed)
  })

  test('whoever does not read stops the sender; another stream goes on; read later, all is there', async () => {
    const [a, b] = await pair()
    const [near, far] = await stream(a, b)
    const [otherNear, otherFar] = await stream(a, b, otherProtocol)
    const frames = 400
    let accepted = 0
    const sending = (async () => {
      for (; accepted < frames; accepted++) await near.send(bytes(50_000, accepted))
      await near.close()
    })()
    let before = -1
    await until(
      async () => {
        if (before === accepted) return true
        before = accepted
        await new Promise(resolve => setTimeout(resolve, 100))
        return false
      },
      { what: 'the sender to be stopped' },
    )
    assert.ok(accepted < 200, `${accepted} frames of 50,000 bytes were accepted unread`)
    await otherNear.send(bytes(10))
    assert.is((await reader(otherFar).next()).value.length, 10)

    for (let index = 0; index < frames; index++) {
      const { value } = await reader(far).next()
      assert.is(Buffer.compare(value, bytes(50_000, index)), 0, `frame ${index}`)
    }
    assert.is((await reader(far).next()).done, true)
    await sending
  })

  test('the gate refuses who dials in: it is told, nothing is connected, nothing can be opened', async () => {
    const [a, b] = [await start(), await start()]
    b.refuses.set(a.network.self, 'revoked')
    await dial(a, b).catch(error => assert.instance(error, PeerUnreachable))
    await until(() => b.events.includes(`refused ${a.network.self} revoked`), { what: 'the refusal' })
    await until(
      async () => {
        const opened = await a.network.open(b.network.self, protocol).catch(error => error)
        if (opened instanceof PeerUnreachable) return true
        opened.reset('not expected')
        return false
      },
      { what: 'the refused connection to be gone' },
    )
    assert.not.ok(b.events.some(event => event.startsWith('connected')))
    assert.is(b.streams.length, 0)
  })

  test('the gate refuses who is dialled', async () => {
    const [a, b] = [await start(), await start()]
    a.refuses.set(b.network.self, 'unknown-server')
    await rejects(dial(a, b), PeerUnreachable)
    assert.equal(a.events, [`refused ${b.network.self} unknown-server`])
  })

  test('dialling: nobody there, somebody else there, no address, already connected', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    const gone = await start()
    const addresses = gone.network.addresses()
    await gone.stop()
    await rejects(a.network.dial(gone.network.self, addresses), PeerUnreachable)
    await rejects(a.network.dial(c.network.self, b.network.addresses()), PeerUnreachable)
    await rejects(a.network.dial(b.network.self, []), PeerUnreachable)
    await rejects(a.network.dial(b.network.self, ['/nonsense']), PeerUnreachable)
    await rejects(a.network.open(b.network.self, protocol), PeerUnreachable)
    assert.equal(a.events, [])
    await dial(a, b)
    await dial(a, b)
    assert.equal(a.events, [`connected ${b.network.self}`])
    await a.network.dial(b.network.self, [])
  })

  test('both dial at once: each hears once that the other is there', async () => {
    const [a, b] = [await start(), await start()]
    await Promise.all([dial(a, b), dial(b, a)])
    await until(() => a.events.length > 0 && b.events.length > 0, { what: 'both to be connected' })
    const [near, far] = await stream(a, b)
    await far.send(bytes(3))
    assert.is((await reader(near).next()).value.length, 3)
    assert.equal(a.events, [`connected ${b.network.self}`])
    assert.equal(b.events, [`connected ${a.network.self}`])
  })

  test('disconnect ends connection and streams at once, on both sides; one may dial again', async () => {
    const [a, b] = await pair()
    const [near, far] = await stream(a, b)
    await a.network.disconnect(b.network.self, 'tried out')
    await rejects(reader(near).next(), StreamClosed)
    await rejects(reader(far).next(), StreamClosed)
    await until(() => a.events.length === 2 && b.events.length === 2, { what: 'both to hear of the end' })
    assert.equal(b.events, [`connected ${a.network.self}`, `disconnected ${a.network.self}`])
    await dial(b, a)
    await until(() => a.events.length === 3, { what: 'the new connection' })
    await stream(b, a)
  })

  test('stop: the peer hears of it, and what is left answers with its own errors', async () => {
    const [a, b] = await pair()
    const [, far] = await stream(a, b)
    await a.stop()
    await until(() => b.events.length === 2, { what: 'the peer to hear of the end' })
    const last = await reader(far)
      .next()
      .catch(error => error)
    assert.ok(last instanceof StreamClosed || last.done, String(last))
    await rejects(dial(a, b), PeerUnreachable)
    await rejects(a.network.open(b.network.self, protocol), PeerUnreachable)
  })

  test.run()
}
