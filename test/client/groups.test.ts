import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { systemRandom } from '../../src/adapters/random.ts'
import { websocketListener } from '../../src/adapters/websocket-listener.ts'
import { startGateway } from '../../src/client/gateway.ts'
import { openForGroup, operatorId, sealForGroup } from '../../src/client/index.ts'
import { readInventory } from '../../src/client/inventory-reader.ts'
import { createPne } from '../../src/client/pne.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import {
  groupCreate,
  groupFind,
  groupJoin,
  groupKey,
  groupLeave,
  pnAccept,
  pnEstablish,
  pnGrant,
  pnInvitations,
  pnInvite,
  pnUpdate,
} from '../../src/inventory/methods.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { until } from '../fixtures/until.ts'
import { type ClientWorld, clientPorts, clientWorld, keyOf } from './world.ts'

/*
 * At whole nodes of two operators: the owner at A invites a device of B, which accepts, registers through a gateway of A,
 * joins a service group and reads what a member of A seals; once it has left it can do so no more. It fails if any of it
 * needs more than what the SDK offers, or if the groups that a client computes are not the server's.
 */
const test = suite('service groups of the SDK')
let world: ClientWorld
test.after.each(() => world.stop())

const a = operatorId('a.example')
const b = operatorId('b.example')
const network = { home: a, pnId: 'flat' }
const id = () => ({ commandId: toBase64url(systemRandom().bytes(16)), ...network })
const [lamp, radio] = [
  { operator: a, pneId: 'lamp' },
  { operator: b, pneId: 'radio' },
]

test('a device of another operator is invited, joins a group, reads along, and leaves', async () => {
  world = await clientWorld(a, b)
  const [atA, atB] = world.nodes
  assert.ok(atA && atB)
  const owner = await atA.session('alice')
  const box = { operator: a, pneId: 'box' }
  await owner.call(pnEstablish, { commandId: id().commandId, pnId: 'flat', alias: 'Flat' })
  await owner.call(pnUpdate, { ...id(), operation: 'add', pnes: [box, lamp] })
  const ports = clientPorts()
  const listener = websocketListener({ host: '127.0.0.1', port: 0, telemetry: new RecordingTelemetry() })
  const gateway = await startGateway(ports, await atA.session('box'), listener, {
    gatewayId: 'box-1',
    networks: [network],
  })
  world.ends.push(() => gateway.stop())

  const lamps = await atA.session('lamp')
  const radios = await atB.session('radio')
  const expires = Date.now() + 3_600_000
  const invitation = { operator: b, identity: 'radio', role: 'PNE', message: 'Join us.', expires } as const
  const invited = await until(() => owner.call(pnInvite, { ...id(), ...invitation }), { what: 'A and B are linked' })
  const { invitations } = await radios.call(pnInvitations, {})
  assert.equal(
    invitations.map(({ message, alias }) => [message, alias]),
    [['Join us.', 'Flat']],
  )
  await radios.call(pnAccept, { ...id(), invitation: invited.invitation, pne: radio })
  const rights: ('register' | 'admit')[] = ['register']
  await owner.call(pnGrant, { ...id(), operator: b, fingerprint: atB.fingerprint, rights, expires })

  for (const { operator, pneId } of [lamp, radio]) {
    const key = keyOf(operator, pneId)
    const pne = createPne(ports, { gatewayUrl: gateway.url(), ...network, operator, pneId, key })
    await until(() => pne.register(), { what: `${pneId} is registered` })
  }

  const service = { serviceId: 'music.1', serviceName: 'Music everywhere' }
  const { group } = await lamps.call(groupCreate, { ...id(), pne: lamp, name: 'Music', service })
  const { groupId } = group
  await until(() => radios.call(groupJoin, { ...id(), groupId, pne: radio }), { what: 'radio has joined' })

  const music = { ...network, groupId }
  const sealed = await sealForGroup(
    music,
    await lamps.call(groupKey, { ...music, pne: lamp }),
    new TextEncoder().encode('la la la'),
  )
  const { generation } = sealed
  const given = await radios.call(groupKey, { ...music, pne: radio, generation })
  assert.is(new TextDecoder().decode(await openForGroup(music, given, sealed)), 'la la la')

  await radios.call(groupLeave, { ...id(), groupId, pne: radio })
  const refused = await radios.call(groupKey, { ...music, pne: radio }).catch((error: unknown) => error)
  assert.match(String(refused), /no member/)
  const next = await lamps.call(groupKey, { ...music, pne: lamp })
  const later = await sealForGroup(music, next, new TextEncoder().encode('sh'))
  assert.is((await openForGroup(music, given, later).catch(error => error)).name, 'DecryptionFailed')

  const { groups } = await owner.call(groupFind, { ...network, keyword: 'music' })
  const reader = readInventory(owner, ports.clock, network, { changed: () => {} })
  await until(() => JSON.stringify(reader.groups()) === JSON.stringify(groups), {
    what: 'the client’s own view is the server’s',
  })
  reader.close()
  for (const { telemetry } of world.nodes) assert.is(telemetry.events('access.method-failed').length, 0)
})

test.run()
