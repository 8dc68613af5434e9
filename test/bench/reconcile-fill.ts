import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../examples/support/cuttable-link.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { libp2pNetwork } from '../../src/adapters/libp2p-network.ts'
import { asDocumentId } from '../../src/document/names.ts'
import type { ServerId } from '../../src/ports/names.ts'
import type { PeerNetwork, PeerStream } from '../../src/ports/peer-network.ts'
import { World, type WorldServer } from '../federation/world.ts'
import { testOperator } from '../fixtures/operators.ts'
import { until } from '../fixtures/until.ts'
import { type Figure, figureOf } from './bench.ts'
import { heldBytes } from './held-memory.ts'

/*
 * An empty server beside one that holds everything, over libp2p on loopback, both on disks, in one process: how fast it is
 * filled; what it takes when it is cut off on the way; and how fast a plain stream carries the same bytes.
 */

const operator = testOperator('a.example', 2)
const other = testOperator('b.example')
const largeOnes = { count: 800, bytes: 200_000 }
const smallOnes = { count: 6_000, bytes: 1_000 }
const timeoutMs = 300_000
const rounds = 3
const mebibyte = 1024 * 1024
const plainFrameBytes = [64 * 1024, 512 * 1024]

/** By turns, several times. @param share by how much fewer documents are taken */
export async function fillFigures(progress: (line: string) => void, share: number): Promise<Figure[]> {
  const large = { ...largeOnes, count: largeOnes.count / share }
  const small = { ...smallOnes, count: smallOnes.count / share }
  const plain: number[] = []
  const [filled, many, foreign]: [Filled[], Filled[], Filled[]] = [[], [], []]
  for (let round = 1; round <= rounds; round++) {
    const speeds: number[] = []
    for (const frameBytes of plainFrameBytes) speeds.push(await plainStream(large.count * large.bytes, frameBytes))
    const stream = Math.max(...speeds)
    const [one, own, others] = [await filling(large), await filling(small), await filling(small, other)]
    plain.push(stream)
    filled.push(one)
    many.push(own)
    foreign.push(others)
    const ofLarge = `documents of ${large.bytes} bytes ${Math.round(one.mebibytesPerSecond)} MiB/s`
    const ofSmall = `of ${small.bytes} bytes ${perSecond(own)}, of another operator ${perSecond(others)}`
    progress(`round ${round}: a plain stream ${Math.round(stream)} MiB/s, ${ofLarge}, ${ofSmall}`)
  }
  const about = `empty server, ${large.count} documents of ${large.bytes} bytes`
  const rates = filled.map(({ mebibytesPerSecond }) => mebibytesPerSecond)
  const ofMany = many.map(({ documentsPerSecond }) => documentsPerSecond)
  const ofForeign = foreign.map(({ documentsPerSecond }) => documentsPerSecond)
  const shares = (values: readonly number[], of: readonly number[]) =>
    values.map((value, at) => (100 * value) / (of[at] ?? Number.NaN))
  return [
    figureOf(`${about}: plain libp2p stream`, plain, 'MiB/s'),
    figureOf(`${about}: filled with`, rates, 'MiB/s'),
    figureOf(`${about}: of a plain stream`, shares(rates, plain), '%', { atLeast: 50 }),
    figureOf(
      `${about}: memory without pages of files, second half above the first`,
      filled.map(({ growthMebibytes }) => growthMebibytes),
      'MiB',
      { atMost: 48 },
    ),
    figureOf(
      `${about}: entries that came twice after a cut`,
      filled.map(({ repeated }) => repeated),
      '',
      { atMost: 64 },
    ),
    figureOf(`empty server, ${small.count} documents of ${small.bytes} bytes: filled with`, ofMany, 'documents/s'),
    figureOf('the same, a server of another operator, which has a budget: filled with', ofForeign, 'documents/s'),
    figureOf('the same: of one of the own operator', shares(ofForeign, ofMany), '%', { atLeast: 80 }),
  ]
}

const perSecond = ({ documentsPerSecond }: Filled): string => `${Math.round(documentsPerSecond)} documents/s`

interface Filled {
  readonly mebibytesPerSecond: number
  readonly documentsPerSecond: number
  /** By how much the most memory of the second half is above that of the first. */
  readonly growthMebibytes: number
  readonly repeated: number
}

/** @param empty whose server is filled: the other one of the own operator, or the one of another */
async function filling({ count, bytes }: typeof largeOnes, empty = operator): Promise<Filled> {
  const folder = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
  const ports = new Map<ServerId, number>()
  for (const { id } of [...operator.servers, ...other.servers]) ports.set(id, await freePort())
  const address = (server: ServerId) => `/ip4/127.0.0.1/tcp/${ports.get(server)}`
  const world = new World([operator, other], {
    clock: systemClock(),
    network: ({ id, privateKey }) =>
      libp2pNetwork({ privateKey, listen: [address(id)], limits: { inboundPerSecond: 1_000 } }),
    address,
    store: server => openLevelLogStore(join(folder, server)),
  })
  try {
    const full = await world.start(operator, 0)
    for (let number = 0; number < count; number++) world.entitlement.grant(documentOf(number), other)
    await write(full, count, bytes)
    const number = empty === operator ? 1 : 0
    const began = await world.start(empty, number)
    await until(() => received(began) > count * 0.4, { what: 'a part to arrive', withinMs: timeoutMs })
    await world.stop(began)

    const again = await world.start(empty, number)
    const left = count - (await held(again))
    await until(() => again.isUp(full), { what: 'the link', withinMs: timeoutMs })
    const startedMs = performance.now()
    const before = received(again)
    const memory: number[] = []
    await until(
      () => {
        memory.push(heldBytes() / mebibyte)
        return received(again) >= left
      },
      { what: 'the rest to arrive', withinMs: timeoutMs },
    )
    const seconds = (performance.now() - startedMs) / 1000
    const documents = left - before
    const middle = memory.length >>> 1
    return {
      mebibytesPerSecond: (documents * bytes) / mebibyte / seconds,
      documentsPerSecond: documents / seconds,
      growthMebibytes: Math.max(...memory.slice(middle)) - Math.max(...memory.slice(0, middle)),
      repeated: again.telemetry.counter('cpns_entries_repeated_total'),
    }
  } finally {
    await world.stopAll()
    await rm(folder, { recursive: true })
  }
}

const documentOf = (number: number) => asDocumentId(`pn/a.example/n${number}`)
const received = ({ telemetry }: WorldServer): number => telemetry.counter('cpns_entries_received_total')

async function held({ documents }: WorldServer): Promise<number> {
  let count = 0
  for await (const _ of documents.list('')) count++
  return count
}

async function write(server: WorldServer, count: number, bytes: number): Promise<void> {
  for (let from = 0; from < count; from += 50) {
    const some = Array.from({ length: Math.min(50, count - from) }, (_, at) => from + at)
    await Promise.all(some.map(number => server.set(documentOf(number), 'text', `${number}`.padEnd(bytes, 'x'))))
  }
}

/** MiB per second of a stream over the same network, in frames of this size, sent as fast as it takes them. */
async function plainStream(totalBytes: number, frameBytes: number): Promise<number> {
  const [one, other] = operator.servers
  if (!one || !other) throw new Error('There are two servers.')
  const port = await freePort()
  const address = `/ip4/127.0.0.1/tcp/${port}`
  const { promise: came, resolve: arrived } = Promise.withResolvers<PeerStream>()
  const start = (network: PeerNetwork, stream: (stream: PeerStream) => void) =>
    network.start({
      protocols: ['/cpns/bench/1'],
      maxFrameBytes: mebibyte,
      gate: { refuse: () => undefined },
      events: { connected: () => {}, disconnected: () => {}, refused: () => {}, stream },
    })
  const sender = libp2pNetwork({ privateKey: one.privateKey, listen: [] })
  const receiver = libp2pNetwork({ privateKey: other.privateKey, listen: [address] })
  await start(sender, () => {})
  await start(receiver, arrived)
  try {
    await sender.dial(other.id, [address])
    const stream = await sender.open(other.id, '/cpns/bench/1')
    const frame = new Uint8Array(frameBytes).fill(120)
    const startedMs = performance.now()
    const sending = (async () => {
      for (let sent = 0; sent < totalBytes; sent += frame.length) await stream.send(frame)
      await stream.close()
    })()
    let bytes = 0
    for await (const { length } of (await came).frames) bytes += length
    await sending
    return bytes / mebibyte / ((performance.now() - startedMs) / 1000)
  } finally {
    await sender.stop()
    await receiver.stop()
  }
}
