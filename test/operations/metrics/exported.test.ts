/*
 * Property: a real node exports, after some traffic, every metric of the catalogue, in a text that can be read, with figures that agree with
 * what was done. Fails when a gauge is not read, when a label is missing, or when a figure stands still.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { pnEstablish } from '../../../src/client/node.ts'
import { catalogue } from '../../../src/operations/metrics/catalogue.ts'
import { realNode } from '../admin/real-node.ts'
import { readExposition } from './exposition.ts'

const test = suite('Exported metrics')

test('a node exports what the catalogue says, and counts what is done', async () => {
  await using running = await realNode({ trusts: 'b.example' })
  const { node, connectOwner, admin } = running
  const ask = await admin('read')
  const figures = async () => {
    const answer = await ask('/metrics')
    assert.is(answer.status, 200)
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
    return readExposition(await answer.text())
  }
  const before = await figures()
  assert.equal([...before.kinds.keys()].toSorted(), Object.keys(catalogue).toSorted())
  for (const [name, { kind }] of Object.entries(catalogue)) assert.is(before.kinds.get(name), kind, name)

  const session = await connectOwner()
  await session.call(pnEstablish, { commandId: 'x'.repeat(22), alias: 'My home', pnId: 'home' })
  const after = await figures()
  const { value } = after
  assert.is(value('cpns_access_requests_total', { method: 'pn.establish', status: '200' }), 1)
  assert.is(value('cpns_access_request_duration_seconds_count', { method: 'pn.establish' }), 1)
  assert.is(value('cpns_access_authentications_total', { mechanism: 'psk', outcome: 'proved' }), 1)
  assert.is(value('cpns_sessions'), 1)
  assert.is(value('cpns_ready'), 1)
  assert.is(value('cpns_load_level', { level: 'draining' }), 0)
  assert.is(value('cpns_documents_held'), node.status().documents.held)
  assert.ok((value('cpns_store_entries_total') ?? 0) > (before.value('cpns_store_entries_total') ?? 0))
  assert.ok((value('cpns_store_commit_duration_seconds_count') ?? 0) > 0)
  assert.ok((value('cpns_store_free_bytes') ?? 0) > 0)
  assert.ok((value('cpns_manifest_expiry_timestamp_seconds', { operator: 'a.example' }) ?? 0) > Date.now() / 1_000)
  const links = ['connecting', 'greeting', 'up', 'down'].map(state =>
    value('cpns_links', { operator: 'b.example', state }),
  )
  assert.is(
    links.reduce<number>((sum, count) => sum + (count ?? 0), 0),
    1,
  )
  assert.ok((value('process_resident_memory_bytes') ?? 0) > 1e6)
  session.close()
})

test.run()
