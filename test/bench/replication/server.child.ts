import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../../src/adapters/clock.ts'
import { nodeCrypto } from '../../../src/adapters/crypto.ts'
import { openLevelLogStore } from '../../../src/adapters/level-log-store.ts'
import { libp2pNetwork } from '../../../src/adapters/libp2p-network.ts'
import { asDocumentId } from '../../../src/document/names.ts'
import type { PeerNetwork, PeerStream } from '../../../src/ports/peer-network.ts'
import { World, type WorldServer } from '../../federation/world.ts'
import { testOperator } from '../../fixtures/operators.ts'
import { heldBytes } from '../held-memory.ts'
import { obey } from '../overload/child.ts'

/*
 * One of two servers of an operator in a process of its own: everything from trust to federation, on a disk, over libp2p; or one end
 * of a bare stream over the same network.
 */

interface Start {
  readonly what: 'start'
  /** Which of the two. */
  readonly number: 0 | 1
  readonly ports: readonly [number, number]
  readonly folder: string
  /** Of the manifest, which is the same for both. */
  readonly issued: number
}

export type ReplicationOrder =
  | Start
  /** To each document its next entry, as fast as they are durable, several times; so many documents at once. */
  | {
      readonly what: 'write'
      readonly documents: number
      readonly atOnce: number
      readonly times: number
      readonly bytes: number
    }
  | { readonly what: 'look' }
  | { readonly what: 'receive'; readonly port: number }
  | { readonly what: 'send'; readonly port: number; readonly bytes: number; readonly frameBytes: number }
  /** How long it takes to append so much to a file, durably, as much at once as a server's store does. */
  | { readonly what: 'append'; readonly folder: string; readonly bytes: number }
  /** How long a signature takes to check, alone. */
  | { readonly what: 'verify' }

export interface ReplicationAnswer {
  /** What this server has received in all, and has stored. */
  readonly entries: number
  readonly isUp: boolean
  /** Of this process, all threads together. */
  readonly cpuMs: number
  readonly heldBytes: number
  /** How long what was ordered took. */
  readonly tookMs: number
  readonly verifyUs?: number
}

const operator = testOperator('a.example', 2)
const checks = 2_000
const appendBytes = 4 * 1024 * 1024
let server: WorldServer | undefined
let other: { readonly id: WorldServer['id'] } | undefined

obey<ReplicationOrder, ReplicationAnswer>(async order => {
  const beganMs = performance.now()
  let verifyUs: number | undefined
  switch (order.what) {
    case 'start':
      await start(order)
      break
    case 'write':
      await write(order)
      break
    case 'receive':
      await receive(order.port)
      break
    case 'send':
      await send(order)
      break
    case 'append':
      await append(order)
      break
    case 'verify':
      verifyUs = verify()
      break
    case 'look':
  }
  const { user, system } = process.cpuUsage()
  return {
    entries: server?.telemetry.counter('cpns_entries_received_total') ?? 0,
    isUp: server !== undefined && other !== undefined && server.isUp(other),
    cpuMs: (user + system) / 1000,
    heldBytes: heldBytes(),
    tookMs: performance.now() - beganMs,
    ...(verifyUs !== undefined && { verifyUs }),
  }
})

async function start({ number, ports, folder, issued }: Start): Promise<void> {
  const portOf = new Map(operator.servers.map(({ id }, at) => [id, ports[at]]))
  const addresses = new Map([...portOf].map(([id, port]) => [id, `/ip4/127.0.0.1/tcp/${port}`]))
  const world = new World([operator], {
    clock: systemClock(),
    network: ({ id, privateKey }) =>
      libp2pNetwork({
        privateKey,
        listen: [`/ip4/127.0.0.1/tcp/${portOf.get(id)}`],
        limits: { inboundPerSecond: 1_000 },
      }),
    address: id => `/ip4/127.0.0.1/tcp/${portOf.get(id)}`,
    store: id => openLevelLogStore(join(folder, id)),
  })
  other = operator.servers[1 - number]
  server = await world.start(operator, number, { own: operator.manifest({ issued, addresses }) })
}

async function write({ documents, atOnce, times, bytes }: Extract<ReplicationOrder, { what: 'write' }>): Promise<void> {
  const text = 'x'.repeat(bytes)
  for (let from = 0; from < documents; from += atOnce) {
    const names = Array.from({ length: Math.min(atOnce, documents - from) }, (_, at) => from + at)
    await Promise.all(
      names.map(async at => {
        const document = asDocumentId(`pn/a.example/n${at}`)
        for (let time = 0; time < times; time++) await server?.set(document, 'text', `${time} ${text}`)
      }),
    )
  }
}

// --- a bare stream

let came = Promise.withResolvers<PeerStream>()
const begin = (network: PeerNetwork) =>
  network.start({
    protocols: ['/cpns/bench/1'],
    maxFrameBytes: 1024 * 1024,
    gate: { refuse: () => undefined },
    events: { connected: () => {}, disconnected: () => {}, refused: () => {}, stream: stream => came.resolve(stream) },
  })

/** Waits for somebody to send. */
async function receive(port: number): Promise<void> {
  const [, receiver] = operator.servers
  if (!receiver) return
  came = Promise.withResolvers<PeerStream>()
  const network = libp2pNetwork({ privateKey: receiver.privateKey, listen: [`/ip4/127.0.0.1/tcp/${port}`] })
  await begin(network)
  came.promise.then(async stream => {
    for await (const _ of stream.frames);
    await stream.send(new Uint8Array(1))
    await stream.close()
  })
}

/** Until the receiver says that it has all. */
async function send({ port, bytes, frameBytes }: Extract<ReplicationOrder, { what: 'send' }>): Promise<void> {
  const [sender, receiver] = operator.servers
  if (!sender || !receiver) return
  const network = libp2pNetwork({ privateKey: sender.privateKey, listen: [] })
  await begin(network)
  await network.dial(receiver.id, [`/ip4/127.0.0.1/tcp/${port}`])
  const stream = await network.open(receiver.id, '/cpns/bench/1')
  const frame = new Uint8Array(frameBytes).fill(120)
  for (let sent = 0; sent < bytes; sent += frame.length) await stream.send(frame)
  await stream.close()
  for await (const _ of stream.frames);
  await network.stop()
}

async function append({ folder, bytes }: Extract<ReplicationOrder, { what: 'append' }>): Promise<void> {
  const file = await open(join(folder, 'appended'), 'w')
  const block = new Uint8Array(appendBytes).fill(120)
  for (let written = 0; written < bytes; written += block.length) {
    await file.write(block)
    await file.datasync()
  }
  await file.close()
}

/** Microseconds of processor. */
function verify(): number {
  const { ed25519 } = nodeCrypto()
  const { publicKey, privateKey } = ed25519.generate()
  const message = new Uint8Array(46)
  const signature = ed25519.sign(privateKey, message)
  const before = process.cpuUsage()
  for (let check = 0; check < checks; check++) ed25519.verify(publicKey, message, signature)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / checks
}
