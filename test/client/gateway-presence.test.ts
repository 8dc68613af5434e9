import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { websocketListener } from '../../src/adapters/websocket-listener.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import { startGateway } from '../../src/client/gateway.ts'
import type { GatewayEvent } from '../../src/client/gateway-events.ts'
import { gatewayPath, gatewayPresent, gatewaySubprotocol } from '../../src/client/gateway-protocol.ts'
import { createPne } from '../../src/client/pne.ts'
import { followPresence } from '../../src/client/presence.ts'
import { openWire } from '../../src/client/wire.ts'
import { capabilitiesQuery, pnEstablish, pnUpdate } from '../../src/inventory/methods.ts'
import { operatorId } from '../../src/ports/names.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { until } from '../fixtures/until.ts'
import { type ClientWorld, clientPorts, clientWorld, keyOf } from './world.ts'

/*
 * A gateway of the SDK with devices beside it: whoever watches hears that it is there, and of its devices what they say
 * to it; it answers what a device that paired with it can do. Fails if a device is shown as there that has not said so, or
 * that did not pair on the connection on which it says so.
 */
const test = suite('a gateway and who is beside it')
let world: ClientWorld
test.after.each(() => world.stop())

const home = operatorId('a.example')
const network = { home, pnId: 'flat' }
let ids = 0
const commandId = () => `gateway-presence-${String(++ids).padStart(8, '0')}`

async function scene() {
  world = await clientWorld(home)
  const [a] = world.nodes
  assert.ok(a)
  const owner = await a.session('alice')
  await owner.call(pnEstablish, { commandId: commandId(), alias: 'Flat', pnId: 'flat' })
  const pnes = ['box', 'watch', 'lamp'].map(pneId => ({ operator: home, pneId }))
  await owner.call(pnUpdate, { commandId: commandId(), ...network, operation: 'add', pnes })
  const events: GatewayEvent[] = []
  const gateway = await startGateway(
    clientPorts(),
    await a.session('box'),
    websocketListener({ host: '127.0.0.1', port: 0, telemetry: new RecordingTelemetry() }),
    { gatewayId: 'box-1', networks: [network], onEvent: event => void events.push(event) },
  )
  world.ends.push(() => gateway.stop())
  const seen = new Map<string, string>()
  followPresence(owner, clientPorts().clock, network, {
    changed({ pnes, gateways }) {
      for (const { pneId, reach, state } of pnes) seen.set(pneId, `${reach} ${state ?? ''}`.trim())
      for (const { gatewayId, reach, state } of gateways) seen.set(gatewayId, `${reach} ${state ?? ''}`.trim())
    },
  })
  const device = (pneId: string, capabilities = {}) =>
    createPne(clientPorts(), {
      gatewayUrl: gateway.url(),
      ...network,
      operator: home,
      pneId,
      key: keyOf(home, pneId),
      capabilities,
    })
  const sees = (who: string, what: string) => until(() => seen.get(who) === what, { what: `${who} ${what}` })
  return { owner, gateway, events, device, sees, seen }
}

test('it is there while it runs, and its devices as they say; one that did not pair, or did not register, is not', async () => {
  const { gateway, device, sees, seen } = await scene()
  await sees('box-1', 'reachable active')
  const watch = device('watch')
  await watch.register()
  assert.is(seen.get('watch'), 'unknown', 'it has not said anything')
  assert.equal(await watch.present('standby'), { holdsMs: 60_000 })
  await sees('watch', 'reachable standby')
  await device('lamp').present('active')
  await watch.present('active')
  await sees('watch', 'reachable active')
  assert.is(seen.get('lamp'), 'unknown', 'it is not registered through this gateway')

  const { sockets, clock } = clientPorts()
  const wire = openWire(await sockets.connect(`${gateway.url()}${gatewayPath}`, [gatewaySubprotocol]), clock)
  const forged = wire.call(gatewayPresent, { ...network, operator: home, pneId: 'watch', state: 'standby' }, 5_000)
  const refused = await forged.then(
    () => undefined,
    error => error,
  )
  assert.is(refused instanceof RequestRefused && `${refused.status} ${refused.reason}`, '403 NOT_PAIRED')
  wire.close()

  await gateway.stop()
  await sees('box-1', 'unreachable active')
  await sees('watch', 'unreachable active')
})

test('it answers what a device that has paired can do; of others it knows nothing', async () => {
  const { owner, device, events } = await scene()
  await device('lamp', { light: 'dimmable' }).pair()
  const query = (targetId: string) => owner.call(capabilitiesQuery, { ...network, targetId })
  assert.equal(await query('lamp'), { capabilities: { light: 'dimmable' }, gatewayId: 'box-1' })
  const unknown = await query('watch').then(
    () => undefined,
    error => error,
  )
  assert.is(unknown instanceof RequestRefused && `${unknown.status} ${unknown.reason}`, '404 PNE_UNKNOWN')
  assert.equal(
    events.filter(({ type }) => type === 'failed'),
    [],
  )
})

test.run()
