import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { systemRandom } from '../../src/adapters/random.ts'
import * as browser from '../../src/client/index.ts'
import * as node from '../../src/client/node.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import { echo, identityOf, startRig } from '../access/rig.ts'
import { until } from '../fixtures/until.ts'
import { type ClientWorld, clientWorld, keyOf } from './world.ts'

/*
 * The two entries of the SDK, with the ports that they bring along: what an application writes works as it is written
 * here, in Node and with what browsers have; the gateway cleans up after itself when it cannot start.
 */
const test = suite('entries of the SDK')
let world: ClientWorld | undefined
test.after.each(async () => {
  await world?.stop()
  world = undefined
})

const newId = () => toBase64url(systemRandom().bytes(16))
const network = { home: node.operatorId('a.example'), pnId: 'flat' }

test('an application, a gateway and a PNE, in Node', async () => {
  world = await clientWorld('a.example')
  const [a] = world.nodes
  assert.ok(a)
  const owner = await node.connect({ ...a.identity('alice'), urls: [a.url] })
  world.ends.push(() => owner.close())
  await owner.call(node.pnEstablish, { commandId: newId(), alias: 'Flat', pnId: 'flat' })
  const box = { operator: network.home, pneId: 'box' }
  await owner.call(node.pnUpdate, { commandId: newId(), ...network, operation: 'add', pnes: [box] })

  const gateway = await node.openGateway({
    session: { ...a.identity('box'), urls: [a.url] },
    gatewayId: 'box-1',
    networks: [network],
  })
  world.ends.push(() => gateway.stop())
  assert.match(gateway.url(), /^ws:\/\/127\.0\.0\.1:/)

  const inventories: (node.Inventory | undefined)[] = []
  const reader = node.followInventory(owner, network, { changed: inventory => inventories.push(inventory) })
  // The PNE with what a browser has.
  const pne = browser.personalNetworkElement({
    gatewayUrl: gateway.url(),
    ...network,
    operator: network.home,
    pneId: 'watch',
    key: keyOf('a.example', 'watch'),
  })
  const { cpnsId } = await pne.register()
  await until(() => inventories.at(-1)?.members.find(member => member.cpnsId === cpnsId)?.state === 'active', {
    what: 'the inventory shows it',
  })
  reader.close()

  const id = node.documentId({ kind: 'pn', owner: network.home, pnId: 'flat' })
  const document = node.followDocument(owner, id, { changed: () => {} })
  await until(() => document.isComplete, { what: 'the document is read' })
  assert.ok(document.registers().get('pn'))
  document.close()
})

test('a gateway that cannot start leaves nothing open', async () => {
  world = await clientWorld('a.example')
  const [a] = world.nodes
  assert.ok(a)
  const session = { ...a.identity('box'), urls: [a.url] }
  const unknown = await node
    .openGateway({ session, gatewayId: 'box-1', networks: [network] })
    .catch((error: unknown) => error)
  assert.is((unknown as node.RequestRefused).status, 404)
  const plain = await node
    .openGateway({ session, gatewayId: 'box-1', networks: [], listen: { host: '0.0.0.0' } })
    .catch((error: unknown) => error)
  assert.is((plain as Error).name, 'ListenRefused')
})

test('over TLS, with a certificate authority of one’s own', async () => {
  const fixture = (name: string) => join(import.meta.dirname, '../fixtures', name)
  const tls = { certificateFile: fixture('tls-a.crt.pem'), keyFile: fixture('tls-a.key.pem') }
  const rig = await startRig({ listener: { tls } })
  const options = { ...identityOf('bob'), urls: [rig.base] }
  const certificateAuthority = await readFile(tls.certificateFile, 'utf8')
  const session = await node.connect(options, node.nodePorts({ certificateAuthority }))
  assert.equal(await session.call(echo.spec, { text: 'hi' }), { text: 'bob: hi' })
  session.close()
  const untrusted = await node.connect(options).catch((error: unknown) => error)
  assert.instance(untrusted, node.ConnectFailed)
  assert.match(String(untrusted), /self-signed/)
  await rig.stop()
})

test('with the WebSocket and WebCrypto that browsers have', async () => {
  const rig = await startRig()
  for (const name of ['alice', 'bob'] as const) {
    const session = await browser.connect({ ...identityOf(name), urls: [rig.base] })
    assert.equal(await session.call(echo.spec, { text: 'hi' }), { text: `${name}: hi` })
    session.close()
  }
  const refused = await browser
    .connect({ ...identityOf('bob'), urls: ['ws://127.0.0.1:9'] })
    .catch((error: unknown) => error)
  assert.instance(refused, browser.ConnectFailed)
  await rig.stop()
})

test.run()
