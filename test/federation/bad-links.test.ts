/*
 * Property: over a link of 1 Mbit/s with a round trip of 300 ms, a tenth of whose segments have to be sent again, and which breaks
 * once in the midst, two servers that write all the while come to hold the same, over real libp2p. It would fail if a slow link were
 * taken for a dead one, or if what was on its way at the break were lost.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { freePort } from '../../examples/support/cuttable-link.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import { libp2pNetwork } from '../../src/adapters/libp2p-network.ts'
import { asDocumentId } from '../../src/document/names.ts'
import type { DocumentId, ServerId } from '../../src/ports/names.ts'
import { type BadLink, badLink } from '../fixtures/bad-link.ts'
import { testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { until } from '../fixtures/until.ts'
import { World, type WorldServer } from './world.ts'

const a = testOperator('a.example')
const b = testOperator('b.example')
const megabit = 1_000_000 / 8
const documentsEach = 12
/** Of each document: about as much as the line carries in a fifth of a second, all together. */
const textBytes = 1_000

test('servers converge over a link that is slow, far, lossy and breaks', async () => {
  const ways = new Map<ServerId, { readonly port: number; readonly link: BadLink }>()
  for (const { id } of [...a.servers, ...b.servers]) {
    const port = await freePort()
    const random = seededRandom(`losses on the way to ${id}`)
    const link = await badLink(port, { bytesPerSecond: megabit, delayMs: 150, loss: 0.1, random })
    ways.set(id, { port, link })
  }
  const world = new World([a, b], {
    clock: systemClock(),
    network: ({ id, privateKey }) =>
      libp2pNetwork({ privateKey, listen: [`/ip4/127.0.0.1/tcp/${ways.get(id)?.port}`] }),
    address: server => `/ip4/127.0.0.1/tcp/${ways.get(server)?.link.port}`,
  })
  const links = [...ways.values()].map(({ link }) => link)
  const named = (owner: string, other: string) =>
    Array.from({ length: documentsEach }, (_, number) => asDocumentId(`visit/${owner}/${other}/n${number}`))
  const ofA = named('a.example', 'b.example')
  const ofB = named('b.example', 'a.example')
  for (const document of ofA) world.entitlement.grant(document, b)
  for (const document of ofB) world.entitlement.grant(document, a)
  try {
    const [a1, b1] = await Promise.all([world.start(a), world.start(b)])
    await write(a1, ofA.slice(0, half))
    await write(b1, ofB.slice(0, half))
    await until(() => a1.isUp(b1) && b1.isUp(a1), { what: 'the link' })
    await write(a1, ofA.slice(half))
    await write(b1, ofB.slice(half))
    await until(() => received(a1) > 0 && received(b1) > 0, { what: 'something to arrive either way' })
    for (const link of links) link.cut()
    await until(
      async () => {
        for (const document of [...ofA, ...ofB]) {
          const [one, other] = await Promise.all([a1.digest(document), b1.digest(document)])
          if (one === undefined || one !== other) return false
        }
        return true
      },
      { what: 'the servers hold the same', withinMs: 120_000, everyMs: 50 },
    )
    assert.ok(a1.telemetry.events('link.up').length > 1, 'the link broke, and came again')
    for (const { telemetry } of [a1, b1]) assert.equal(telemetry.events('link.fault'), [])
  } finally {
    await world.stopAll()
    for (const link of links) await link.close()
  }
})

const half = documentsEach / 2
const write = (server: WorldServer, documents: readonly DocumentId[]) =>
  Promise.all(documents.map(document => server.set(document, 'text', 'x'.repeat(textBytes))))
const received = ({ telemetry }: WorldServer): number => telemetry.counter('cpns_entries_received_total')

test.run()
