/*
 * Proves: while a server starts, and does not know yet who was granted what, nothing is let out that may not be, nothing of
 * one's own is kept back, and what was revoked before stays revoked; afterwards everything is as it was, and no document was
 * opened for it.
 * Fails if a grant that is not known yet counts, one that is known already is lost, or somebody who asks is told less than there is.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Documents } from '../../src/document/documents.ts'
import { asDocumentId } from '../../src/document/names.ts'
import type { PnListResult } from '../../src/inventory/methods.ts'
import { until } from '../fixtures/until.ts'
import { a, b, grant, homeNetwork, refusalOf, type Server, world } from './world.ts'

const home = asDocumentId('pn/a.example/flat')
const alice = { operator: a, identity: 'alice' }

/** Begins a server anew, and holds up its learning of what is held before the gate is opened. */
function restartBehindGate(server: Server) {
  const gate = Promise.withResolvers<void>()
  const read = new Set<string>()
  const started = server.restart((documents: Documents) => {
    const { list, held } = documents
    let hasBegun = false
    documents.list = async function* (prefix, from) {
      const isOfStart = !hasBegun
      hasBegun = true
      if (isOfStart) await gate.promise
      yield* list(prefix, from)
    }
    documents.held = document => {
      read.add(document)
      return held(document)
    }
  })
  return { started, open: gate.resolve, read }
}

test('while it starts a server serves who asks for one PN, refuses lists, and holds no grant for given', async () => {
  const w = await world({ [a]: 1, [b]: 1 })
  for (const pnId of ['flat', 'attic']) await homeNetwork(w, pnId)
  await grant(w, 'flat', b)
  await w.clock.run(10_000)
  const server = w.at(a)
  const { started, open, read } = restartBehindGate(server)
  await until(() => server.inventory.starting.all === 2, { what: 'the documents are counted' })
  assert.equal(server.inventory.starting, { known: 0, all: 2 })
  assert.not.ok(server.inventory.entitlement.mayHold(home, b), 'not known yet')
  const list = () => server.call<PnListResult>('pn.list', {}, 'alice')
  assert.is(await refusalOf(list()), '503 STARTING')
  assert.is((await server.inventoryOf(a, 'attic')).pnId, 'attic')
  assert.ok(await server.inventory.mayRead(alice, home))
  assert.not.ok(await server.inventory.mayRead({ operator: b, identity: 'alice' }, home), 'of another operator')
  assert.ok(server.inventory.entitlement.mayHold(home, b), 'who asked has had it read')
  open()
  await started
  assert.equal(
    (await list()).networks.map(({ pnId }) => pnId),
    ['attic', 'flat'],
  )
  assert.ok(server.inventory.entitlement.mayHold(home, b))
  assert.equal(
    [...read].filter(document => document.endsWith('attic')),
    [],
    'nothing of the other was opened',
  )
  assert.equal(server.inventory.starting, { known: 2, all: 2 })
  await w.stop()
})

test('a grantee that was told of the end of its grant shows the replica to nobody while it starts, and drops it', async () => {
  const w = await world({ [a]: 1, [b]: 1 })
  await homeNetwork(w)
  await grant(w, 'flat', b)
  await w.replicate()
  const server = w.at(b)
  await until(() => server.inventory.entitlement.mayHold(home, b), { what: 'the grant is known' })
  // The end is told, and the server is killed before it has dropped the replica: as if its disk had refused.
  const forget = server.documents.forget
  server.documents.forget = async () => {
    throw new Error('the disk is full')
  }
  await grant(w, 'flat', b, [])
  await until(() => w.clock.run(10).then(() => !server.inventory.entitlement.mayHold(home, b)), {
    what: 'the revocation is known',
  })
  await w.clock.run(10_000)
  server.documents.forget = forget
  const { started, open } = restartBehindGate(server)
  await until(() => server.inventory.starting.all !== undefined, { what: 'the documents are counted' })
  await w.clock.run(1)
  assert.not.ok(await server.inventory.mayRead({ operator: b, identity: 'bob' }, home))
  assert.not.ok(server.inventory.entitlement.mayHold(home, b))
  open()
  await started
  await until(async () => (await server.documents.index(home)) === undefined, { what: 'the replica is dropped' })
  await w.stop()
})

test('a server that is stopped while it starts ends, and the next one knows everything', async () => {
  const w = await world({ [a]: 1, [b]: 1 })
  await homeNetwork(w)
  await grant(w, 'flat', b)
  const server = w.at(a)
  const first = restartBehindGate(server)
  const stopped = server.inventory.stop()
  first.open()
  await first.started
  await stopped
  await server.restart()
  assert.ok(server.inventory.entitlement.mayHold(home, b))
  await w.stop()
})

test.run()
