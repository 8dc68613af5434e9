import { asDocumentId } from '../../../src/document/names.ts'
import { versionOf } from '../../../src/document/version.ts'
import { inspectionRoutes } from '../../../src/operations/admin/inspection.ts'
import { inspectionOf } from '../../../src/operations/inspection/inspection.ts'
import { mailboxDocument } from '../../../src/storage/names.ts'
import { keys } from '../../../src/storage/records.ts'
import { a, b, crypto, grant, homeNetwork, newId, Pne, subscribe, world } from '../../inventory/world.ts'

/*
 * What a server holds: Personal Network `flat`, with a lamp of its own operator and a radio of another one, both registered; one whose
 * owner has named it as an attacker would; a mailbox with three objects, one of whose parts is not here.
 */
export async function heldThings(alias: string) {
  const held = await world({ [a]: 1, [b]: 1 })
  const server = held.at(a)
  const hub = await homeNetwork(held)
  subscribe(held, a, 'lamp', 'mallory')
  subscribe(held, b, 'radio')
  const [lamp, radio] = [new Pne(a, 'lamp'), new Pne(b, 'radio')]
  await hub.update('add', [lamp.name, radio.name])
  await grant(held, 'flat', b)
  await held.replicate()
  for (const pne of [lamp, radio]) {
    await pne.register(hub)
    await pne.confirm(hub)
    await held.replicate()
  }
  await server.call('pn.establish', { commandId: newId(), alias, pnId: 'odd' }, 'mallory')
  const flat = asDocumentId('pn/a.example/flat')
  await server.documents.receipt(flat, held.at(b).id, versionOf(await server.documents.index(flat)))

  const run = 'Run_0001'
  const counts = { objects: 3, bytes: 2_048, chars: 100, from: 0, to: 1 }
  await server.documents.write(mailboxDocument({ operator: a, user: 'alice' }), () => ({
    writes: [
      { key: keys.user, value: { born: 'born' } },
      { key: keys.container('c-lunch'), value: { name: 'lunch with secrets', o: [run, 1] } },
      { key: keys.change('c-lunch', 0, run), value: 7 },
      { key: keys.count('c-lunch', 0, run), value: counts },
      { key: keys.run(run), value: 7 },
    ],
    answer: undefined,
  }))
  const inspection = inspectionOf({ store: server.store, crypto, now: held.clock.now })
  return { routes: inspectionRoutes(inspection), stop: held.stop, peer: held.at(b).id }
}
