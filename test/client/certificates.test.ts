/*
 * Proves: over real sockets, a PNE that its operator knows by a certificate registers through a gateway, goes on and ends,
 * at a node that reads whom it trusts from files; and a revocation counts from the moment that its list is replaced.
 * Fails if the SDK seals what the node does not open, if a refusal loses its reason on the way through the gateway, or if
 * a refused certificate leaves a member behind.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { certificateFiles } from '../../src/adapters/certificate-files.ts'
import { websocketListener } from '../../src/adapters/websocket-listener.ts'
import { x509Certificates } from '../../src/adapters/x509.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import { startGateway } from '../../src/client/gateway.ts'
import { createPne } from '../../src/client/pne.ts'
import { pnEstablish, pnInventory, pnUpdate } from '../../src/inventory/methods.ts'
import { pneUri } from '../../src/ports/certificates.ts'
import { operatorId } from '../../src/ports/names.ts'
import { certify, type Made, pem, revocationList, signWith } from '../fixtures/certificates.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { newId } from '../inventory/world.ts'
import { clientPorts, clientWorldOn } from './world.ts'

const test = suite('PNEs with certificates')
const ends: (() => unknown)[] = []
test.after.each(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const a = operatorId('a.example')
const flat = { home: a, pnId: 'flat' }
const hourMs = 3_600_000

/** PN `flat` with a gateway, at a node that trusts one authority and reads the revocations of another one below it. */
async function scene() {
  const folder = await temporaryFolder()
  ends.push(folder.remove)
  const now = Date.now()
  const root = await certify(now, { isAuthority: true, subject: 'CN=root' })
  const maker = await certify(now, { isAuthority: true, subject: 'CN=maker' }, root)
  const files = { anchors: [join(folder.path, 'root.pem')], revocations: [join(folder.path, 'maker.crl.pem')] }
  const revoke = async (...revoked: Made[]) => {
    const list = await revocationList(maker, revoked, { from: now - hourMs, until: now + hourMs })
    await writeFile(join(folder.path, 'maker.crl.pem'), pem(list, 'X509 CRL'))
  }
  await writeFile(join(folder.path, 'root.pem'), pem(root.der, 'CERTIFICATE'))
  await revoke()

  const world = await clientWorldOn(() => ({ certificates: x509Certificates(certificateFiles(files)) }), a)
  ends.push(() => world.stop())
  const [node] = world.nodes
  const registrationKey = node?.secrets.registrationKeys.at(-1)
  assert.ok(node && registrationKey)
  for (const identity of ['lamp', 'radio']) node.credentials.set(identity, { kind: 'x509' })

  const owner = await node.session('owner')
  await owner.call(pnEstablish, { commandId: newId(), alias: 'Flat', pnId: 'flat' })
  const box = { operator: a, pneId: 'box' }
  await owner.call(pnUpdate, { commandId: newId(), ...flat, operation: 'add', pnes: [box] })
  const listener = websocketListener({ host: '127.0.0.1', port: 0, telemetry: new RecordingTelemetry() })
  const options = { gatewayId: 'box-1', networks: [flat] }
  const gateway = await startGateway(clientPorts(), await node.session('box'), listener, options)
  ends.push(() => gateway.stop())

  return {
    revoke,
    certified: (pneId: string) => certify(now, { uris: [pneUri(a, pneId)] }, maker),
    /** A PNE that shows a certificate, and signs with a key that is its own unless another's is given. */
    pne: (pneId: string, made: Made, key: Made = made) =>
      createPne(clientPorts(), {
        ...{ gatewayUrl: gateway.url(), ...flat, operator: a, pneId },
        credential: { kind: 'x509', chain: [made.der, maker.der], sign: signWith(key), registrationKey },
      }),
    async members() {
      const { members } = await owner.call(pnInventory, flat)
      return members.map(({ pneId, state }) => `${pneId} ${state}`).sort()
    },
  }
}

const refusalOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'not refused',
    error => (error instanceof RequestRefused ? `${error.status} ${error.reason}` : String(error)),
  )

test('a PNE registers by its certificate, goes on, and ends', async () => {
  const { pne, certified, members } = await scene()
  const lamp = pne('lamp', await certified('lamp'))
  const registration = await lamp.register()
  assert.equal(await members(), ['box member', 'lamp active'])
  const { cpnsId } = await lamp.refresh(registration)
  assert.is(cpnsId, registration.cpnsId)
  await lamp.deregister(registration)
  assert.equal(await members(), ['box member', 'lamp member'])
})

test('who shows another PNE’s certificate, or one without its key, is refused and is no member', async () => {
  const { pne, certified, members } = await scene()
  const [lamp, radio] = [await certified('lamp'), await certified('radio')]
  assert.is(await refusalOf(pne('lamp', radio).register()), '401 CERTIFICATE_NAME')
  assert.is(await refusalOf(pne('lamp', lamp, radio).register()), '401 AUTH_FAILED')
  assert.equal(await members(), ['box member'])
})

test('a certificate that its authority takes back registers and refreshes no more, and another one does', async () => {
  const { pne, certified, members, revoke } = await scene()
  const stolen = await certified('lamp')
  const thief = pne('lamp', stolen)
  const registration = await thief.register()
  await revoke(stolen)
  assert.is(await refusalOf(thief.refresh(registration)), '401 CERTIFICATE_REVOKED')
  assert.is(await refusalOf(thief.register()), '401 CERTIFICATE_REVOKED')
  await pne('lamp', await certified('lamp')).register()
  assert.is(await refusalOf(thief.refresh(registration)), '409 SUPERSEDED')
  assert.equal(await members(), ['box member', 'lamp active'])
})

test.run()
