import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { answerCapabilities } from '../../src/client/capabilities.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import { type Beat, followPresence, keepPresent } from '../../src/client/presence.ts'
import type { Session } from '../../src/client/session.ts'
import type { Pne } from '../../src/inventory/fields.ts'
import {
  capabilitiesQuery,
  gatewayAttach,
  type Presence,
  pnEstablish,
  pnGrant,
  pnRelease,
  pnUpdate,
  presenceUnwatch,
} from '../../src/inventory/methods.ts'
import type { Socket } from '../../src/ports/client-sockets.ts'
import { operatorId } from '../../src/ports/names.ts'
import { until } from '../fixtures/until.ts'
import { type ClientWorld, clientPorts, clientWorld } from './world.ts'

/*
 * Two operators’ whole nodes, real websockets, the SDK at both ends: who watches hears that a gateway of the other operator
 * comes, changes and goes, also over a broken link between the operators and a broken connection of its own; and a gateway
 * that is asked what an element can do answers across the operators. Fails if a change does not arrive, if somebody is
 * shown as there who cannot be known to be, or if a heartbeat goes on for a network that has ended.
 */
const test = suite('presence in the SDK')
let world: ClientWorld
test.after.each(() => world.stop())

const a = operatorId('a.example')
const b = operatorId('b.example')
const flat = { home: a, pnId: 'flat' }
const { clock } = clientPorts()
let ids = 0
const commandId = () => `presence-test-${String(++ids).padStart(8, '0')}`

/** A PN of alice at A with the gateways `hub` (A, alice) and `porch` (B, radio), and the PNE tv of A, which has not registered. */
async function scene(): Promise<{ alice: Session; radio: Session }> {
  world = await clientWorld(a, b)
  const [nodeA, nodeB] = world.nodes
  assert.ok(nodeA && nodeB)
  const alice = await nodeA.session('alice')
  const radio = await nodeB.session('radio')
  await alice.call(pnEstablish, { commandId: commandId(), alias: 'Flat', pnId: 'flat' })
  const given = { operator: b, fingerprint: nodeB.fingerprint, rights: ['register', 'admit', 'gateway'] as const }
  await alice.call(pnGrant, {
    commandId: commandId(),
    ...flat,
    ...given,
    rights: [...given.rights],
    expires: Date.now() + 60_000,
  })
  const pnes = [
    { operator: b, pneId: 'radio' },
    { operator: a, pneId: 'tv' },
  ]
  await alice.call(pnUpdate, { commandId: commandId(), ...flat, operation: 'add', pnes })
  await alice.call(gatewayAttach, { commandId: commandId(), ...flat, gatewayId: 'hub' })
  // What it rests on is on its way to B.
  await until(() => radio.call(gatewayAttach, { commandId: commandId(), ...flat, gatewayId: 'porch' }), {
    what: 'porch attaches',
  })
  return { alice, radio }
}

function following(session: Session) {
  const seen = { presence: { pnes: [], gateways: [] } as Presence, ended: undefined as Error | undefined }
  const reader = followPresence(session, clock, flat, {
    changed: presence => void Object.assign(seen, { presence }),
    ended: error => void Object.assign(seen, { ended: error }),
  })
  const gateway = (gatewayId: string) => {
    const found = seen.presence.gateways.find(each => each.gatewayId === gatewayId)
    return found && [found.reach, found.state].join(' ')
  }
  return {
    seen,
    reader,
    gateway,
    sees: (id: string, what: string) => until(() => gateway(id)?.trim() === what, { what: `${id} ${what}` }),
  }
}

test('a gateway of another operator comes, changes and goes, and so does the link between the operators', async () => {
  const { alice, radio } = await scene()
  const { sees, reader, seen } = following(alice)
  const passedOver: (readonly Pne[])[] = []
  let now: Beat = { state: 'active', pnes: [{ operator: a, pneId: 'tv', state: 'active' }] }
  const heartbeat = keepPresent(radio, clock, {
    network: flat,
    gatewayId: 'porch',
    now: () => now,
    passedOver: pnes => passedOver.push(pnes),
  })
  await sees('porch', 'reachable active')
  assert.equal(passedOver[0], [{ operator: a, pneId: 'tv' }], 'it has not registered through it')
  now = { state: 'standby' }
  await heartbeat.beat()
  await sees('porch', 'reachable standby')

  const [nodeA, nodeB] = world.nodes.map(({ node }) => node.federation.server)
  assert.ok(nodeA && nodeB)
  world.hub.cut(nodeA, nodeB)
  await sees('porch', 'unknown')
  world.hub.heal(nodeA, nodeB)
  await sees('porch', 'reachable standby')

  heartbeat.stop()
  radio.close()
  await sees('porch', 'unreachable standby')
  reader.close()
  reader.close()
  assert.equal(await alice.call(presenceUnwatch, flat), {})
  assert.is(seen.ended, undefined)
})

test('who comes back after its connection was lost watches anew, and beats anew', async () => {
  await scene()
  const [nodeA] = world.nodes
  assert.ok(nodeA)
  const opened: Socket[] = []
  const ports = clientPorts()
  const session = () =>
    nodeA.session('alice', {
      ...ports,
      sockets: {
        async connect(url, protocols) {
          const socket = await ports.sockets.connect(url, protocols)
          opened.push(socket)
          return socket
        },
      },
    })
  const [watcher, gateway] = [await session(), await session()]
  const { sees, seen } = following(watcher)
  const heartbeat = keepPresent(gateway, clock, { network: flat, gatewayId: 'hub', now: () => ({ state: 'active' }) })
  await sees('hub', 'reachable active')
  for (const socket of opened.splice(0)) socket.close(4_000, 'lost')
  await until(() => seen.presence.gateways.length === 0, { what: 'nothing is known without a connection' })
  await sees('hub', 'reachable active')
  heartbeat.stop()
})

test('a network that has ended is watched and beaten for no more; who may not know is told so', async () => {
  const { alice, radio } = await scene()
  const [nodeA] = world.nodes
  assert.ok(nodeA)
  const refused: RequestRefused[] = []
  const stranger = following(await nodeA.session('mallory'))
  await until(() => stranger.seen.ended, { what: 'the stranger is refused' })
  assert.is(stranger.seen.ended instanceof RequestRefused && stranger.seen.ended.status, 403)
  const options = {
    network: flat,
    now: () => ({ state: 'active' as const }),
    refused: (error: RequestRefused) => refused.push(error),
  }
  const beat = keepPresent(alice, clock, { ...options, gatewayId: 'none' })
  await until(() => refused.length === 1, { what: 'no such gateway' })
  assert.is(refused[0]?.status, 403)
  await alice.call(pnRelease, { commandId: commandId(), ...flat })
  await beat.beat()
  assert.is(refused[1]?.status, 410)
  await beat.beat()
  assert.is(refused.length, 2)
  const late = following(alice)
  await until(() => late.seen.ended, { what: 'the watching ends' })
  radio.close()
})

test('a gateway answers what an element beside it can do, asked by a client of the other operator', async () => {
  const { alice, radio } = await scene()
  const query = { ...flat, targetId: 'tv' }
  const failed: unknown[] = []
  const stops = [
    answerCapabilities(alice, { gatewayId: 'hub', knows: () => undefined }),
    answerCapabilities(radio, {
      gatewayId: 'porch',
      knows: async ({ pneId }) => (pneId === 'tv' ? { screen: '4k' } : undefined),
      failed: error => failed.push(error),
    }),
  ]
  assert.equal(await alice.call(capabilitiesQuery, query), { capabilities: { screen: '4k' }, gatewayId: 'porch' })
  assert.equal(await radio.call(capabilitiesQuery, query), { capabilities: { screen: '4k' }, gatewayId: 'porch' })
  assert.equal(failed, [])
  for (const stop of stops) stop()
})

test.run()
