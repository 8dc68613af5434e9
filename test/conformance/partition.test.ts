/*
 * Property: while every connection between real servers is cut, each side goes on registering PNEs; after the heal
 * all servers show the same inventory, with every registration that any of them acknowledged, and hold every
 * document of the Personal Network with the same digest, byte for byte. So also with two servers of one operator, of which
 * one is killed and started again while all are apart. It would fail if a side refused what it is entitled to, if a merge
 * lost or doubled a registration, if a killed server forgot what it had acknowledged, or if a link did not try
 * again soon. How long it takes is printed: a second or two, unless the machine has much else to do.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  documentId,
  documentOpen,
  operatorId,
  pnInventory,
  RequestRefused,
  type Session,
} from '../../src/client/node.ts'
import { until } from '../fixtures/until.ts'
import { activeIn, arrived, cut, establish, heal, openStage, type Server } from './stage.ts'

const home = operatorId('a.example')
const network = { home, pnId: 'home' }
const documents = [
  documentId({ kind: 'pn', owner: home, pnId: network.pnId }),
  documentId({ kind: 'visit', owner: operatorId('b.example'), home, pnId: network.pnId }),
]

/** What a server shows and holds of the PN. */
interface Sight {
  readonly active: readonly string[]
  /** The inventory at one time, and the digest of each document. */
  readonly all: string
}

async function sight(session: Session, at: number): Promise<Sight> {
  const inventory = await session.call(pnInventory, { ...network, at })
  const digests = await Promise.all(
    documents.map(async document => (await session.call(documentOpen, { document })).digest),
  )
  return { active: activeIn(inventory), all: JSON.stringify({ inventory, digests }) }
}

async function sights(sessions: readonly Session[]): Promise<Sight[]> {
  const at = Date.now()
  return Promise.all(sessions.map(session => sight(session, at)))
}

/** What each side registered is shown there and nowhere else: so the links were cut, and there is something to converge. */
async function assertApart(sides: readonly (readonly [Session, readonly string[]])[]): Promise<void> {
  const seen = await sights(sides.map(([session]) => session))
  assert.is(new Set(seen.map(({ all }) => all)).size, sides.length)
  for (const [index, { active }] of seen.entries()) {
    for (const [side, [, pnes]] of sides.entries()) {
      for (const pne of pnes) assert.is(active.includes(pne), side === index, `${pne} is of side ${side}`)
    }
  }
}

/** Heals: then every server shows all of `expected`, and all hold the same. */
async function assertConverges(servers: readonly Server[], sessions: readonly Session[], expected: readonly string[]) {
  let last: readonly Sight[] = []
  const isSo = async () => {
    last = await sights(sessions)
    return last.every(({ active, all }) => all === last[0]?.all && expected.every(pne => active.includes(pne)))
  }
  const began = performance.now()
  heal(...servers)
  try {
    await until(isSo, { what: 'every server shows and holds the same' })
  } catch (error) {
    throw new Error(last.map(({ all }) => all).join('\n'), { cause: error })
  }
  const tookMs = Math.round(performance.now() - began)
  console.log(`  ${servers.length} servers converged ${tookMs} ms after the heal`)
}

async function assertRefused(status: number, call: Promise<unknown>): Promise<void> {
  const refusal: unknown = await call.catch(error => error)
  assert.is(refusal instanceof RequestRefused && refusal.status, status)
}

test('two operators, cut apart while both register', async () => {
  await using stage = await openStage()
  const servers = await stage.federation('a.example', 'b.example')
  const [a, b] = servers
  const owner = await stage.session(a, 'owner')
  const visitor = await stage.session(b, 'gateway-b')
  const members = ['a.example/gateway-a', 'b.example/gateway-b', 'a.example/camera', 'b.example/scale']
  await establish(owner, network, members, [b.home])
  await arrived(visitor, network)
  const gatewayA = await stage.gateway(a, 'gateway-a', network)
  const gatewayB = await stage.gateway(b, 'gateway-b', network)
  await stage.register(gatewayA, network, a, 'lamp')
  await stage.register(gatewayA, network, b, 'watch')
  await stage.register(gatewayB, network, b, 'scale')

  await cut(...servers)
  await stage.register(gatewayA, network, a, 'camera')
  await stage.register(gatewayA, network, a, 'lock')
  await stage.register(gatewayB, network, b, 'phone')
  await stage.register(gatewayB, network, b, 'ring')
  // Already registered, and again meanwhile.
  await stage.register(gatewayB, network, b, 'scale')
  await assertRefused(423, stage.register(gatewayB, network, a, 'bell'))
  await assertApart([
    [owner, ['camera', 'lock']],
    [visitor, ['phone', 'ring']],
  ])

  const all = ['lamp', 'watch', 'scale', 'camera', 'lock', 'phone', 'ring']
  await assertConverges(servers, [owner, visitor], all)
})

test('three servers, two of one operator, of which one is killed while all are apart', async () => {
  await using stage = await openStage()
  const servers = await stage.federation('a.example', 'a.example', 'b.example')
  const [a1, a2, b] = servers
  const owner = await stage.session(a1, 'owner')
  const atA2 = await stage.session(a2, 'owner')
  const visitor = await stage.session(b, 'gateway-b')
  const sessions = [owner, atA2, visitor]
  await establish(owner, network, ['a.example/gateway-1', 'a.example/gateway-2', 'b.example/gateway-b'], [b.home])
  await Promise.all(sessions.map(session => arrived(session, network)))
  const gateway1 = await stage.gateway(a1, 'gateway-1', network)
  const gateway2 = await stage.gateway(a2, 'gateway-2', network)
  const gatewayB = await stage.gateway(b, 'gateway-b', network)
  await stage.register(gateway2, network, a2, 'lamp')

  await cut(...servers)
  await Promise.all([
    stage.register(gateway1, network, a1, 'camera'),
    stage.register(gateway2, network, a2, 'lock'),
    stage.register(gatewayB, network, b, 'ring'),
  ])
  await a2.process.stop('SIGKILL')
  const again = await stage.start(a2.home)
  // Gateway and owner come back by themselves.
  await stage.register(gateway2, network, again, 'bell')
  await assertApart([
    [owner, ['camera']],
    [atA2, ['lock', 'bell']],
    [visitor, ['ring']],
  ])

  await assertConverges([a1, again, b], sessions, ['lamp', 'camera', 'lock', 'bell', 'ring'])
})

test.run()
