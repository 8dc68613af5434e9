/*
 * Proves: every cause with which a command, on a Personal Network or whatever else, can be refused is expected by some test, and those that
 * take a full document or a fault of the server are reached here. Fails if a cause is added that nobody tries.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import { pnRelease } from '../../src/inventory/methods.ts'
import { executing } from '../../src/inventory/secure/executing.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { a, homeNetwork, newId, refusalOf, world } from './world.ts'

const root = join(import.meta.dirname, '../..')
const textsIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .map(file => readFileSync(join(root, folder, file), 'utf8'))

test('every cause is expected by a test', () => {
  const causes = new Set(
    [...textsIn('src/inventory'), ...textsIn('src/commands')].flatMap(
      text => text.match(/(?<=')[A-Z][A-Z_]{3,}(?=')/g) ?? [],
    ),
  )
  const tests = textsIn('test').join('\n')
  assert.ok(causes.size > 60, `${causes.size} causes found`)
  assert.equal(
    [...causes].filter(cause => !tests.includes(cause)),
    [],
  )
})

test('a Personal Network that has no more room refuses, and goes on', async () => {
  const small = await world({ 'a.example': 1 }, {}, { maxDocumentBytes: 3_000 })
  const { home, pnId } = await homeNetwork(small)
  const owner = { home, pnId }
  const add = (pneId: string) => {
    const params = { ...owner, commandId: newId(), operation: 'add', pnes: [{ operator: a, pneId }] }
    return refusalOf(small.at(a).call('pn.update', params, 'alice'))
  }
  let added = 0
  let refused = await add(`pne-${added}`)
  while (refused === 'not refused' && added < 100) refused = await add(`pne-${++added}`)
  assert.is(refused, '409 PN_FULL')
  const { members } = await small.at(a).inventoryOf(home, pnId)
  assert.is(members.length, added, 'those before are there')
  await small.stop()
})

test('a Personal Network that the disk has damaged is refused as that', async () => {
  const one = await world({ 'a.example': 1 })
  const { home, pnId } = await homeNetwork(one)
  const { documents, disk } = one.at(a)
  const document = asDocumentId(`pn/${home}/${pnId}`)
  const [head] = (await documents.index(document))?.heads ?? []
  assert.ok(head)
  disk.flip({ entry: [document, head.log, 0] }, 300)
  await documents.examine(document)
  const params = { home, pnId, commandId: newId(), operation: 'add', pnes: [{ operator: a, pneId: 'lamp' }] }
  assert.is(await refusalOf(one.at(a).call('pn.update', params, 'alice')), '503 DOCUMENT_DAMAGED')
  await one.stop()
})

test('a fault of the server is told inside a secure session as one, and says nothing of itself', async () => {
  const broken = {
    spec: pnRelease,
    execute: async () => {
      throw new Error('a secret of the server')
    },
  }
  const telemetry = new RecordingTelemetry()
  const replicated = () => Promise.reject(new Error('nobody asked for that'))
  const execute = executing(
    () => [broken as never],
    () => ({ replicated }),
    telemetry,
  )
  const call = { method: pnRelease.method, params: pnRelease.example?.params }
  const outcome = await execute(call, { operator: a, identity: 'lamp' })
  assert.is('error' in outcome ? outcome.error.data?.reason : undefined, 'INTERNAL')
  assert.not.match(JSON.stringify(outcome), 'secret')
  assert.match(JSON.stringify(telemetry), 'a secret of the server', 'the log says why')
})

test.run()
