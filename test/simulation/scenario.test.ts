import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { planRuns, readScenario, scenarioJsonSchema } from '../../src/simulation/scenario/read-scenario.ts'
import { Secrets } from '../../src/simulation/scenario/secrets.ts'

/*
 * Who writes a scenario file is told what is wrong with it by the name of the field; a sweep and seeds give every combination
 * once; and a secret is found however it is written. A reader that ignores what it does not know runs another
 * scenario than was meant.
 */

const complaint = (text: string): string => {
  try {
    readScenario(text, 'x.yaml')
    return 'none'
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : ''
  }
}

test('mistakes are named by their path, unknown fields with the nearest known one', () => {
  assert.is(complaint('name: a'), 'none')
  assert.is(
    complaint('name: a\nworkloads: []'),
    'BadScenario: x.yaml: there is no field "workloads"; did you mean "workload"?.',
  )
  assert.match(complaint('name: a\nrun: {durationn: 3s}'), /no field "run.durationn"; did you mean "duration"/)
  assert.match(
    complaint('name: a\noperators: {count: 3, srvers: 3}'),
    /no field "operators.srvers"; did you mean "servers"/,
  )
  assert.match(
    complaint('name: a\nfaults: [{kind: crash, every: 3s, dsk: lose}]'),
    /faults.0.dsk"; did you mean "disk"/,
  )
  assert.match(complaint('name: a\nfaults: [{kind: crash}]'), /faults.0: expected exactly one of at, every, poisson/)
  assert.match(complaint('name: a\nrun: {duration: 3x}'), /run.duration: expected a duration such as/)
  assert.match(complaint('name: [a'), /^BadScenario: x.yaml: /)
})

test('a sweep and seeds give each combination once', () => {
  const text = 'name: a\nsweep: {links.default.loss: [0, 0.1], networks.count: [2, 3]}\nseeds: {from: 5, count: 2}'
  const runs = planRuns(text, 'x.yaml')
  assert.is(runs.length, 8)
  assert.equal(
    new Set(runs.map(({ scenario, seed }) => [scenario.links.default.loss, scenario.networks.count, seed].join())).size,
    8,
  )
  assert.is(planRuns(text, 'x.yaml', [1]).length, 4)
})

test('every example is a scenario, and the schema describes its fields', () => {
  const folder = join(import.meta.dirname, '../../examples/simulation')
  const files = readdirSync(folder).filter(file => file.endsWith('.yaml'))
  for (const file of files) assert.ok(planRuns(readFileSync(join(folder, file), 'utf8'), file).length > 0)
  assert.ok(files.length > 0)
  assert.ok(scenarioJsonSchema().properties?.workload)
})

test('secrets are found raw and in every usual writing, and nothing else is', () => {
  const secret = Buffer.from('0123456789abcdef0123456789ABCDEF')
  const secrets = new Secrets()
  secrets.add(secret)
  assert.ok(secrets.isIn(Buffer.concat([Buffer.from('xx'), secret, Buffer.from('y')])))
  for (const encoding of ['base64', 'base64url', 'hex'] as const) {
    assert.ok(secrets.isInText(`key=${secret.toString(encoding)};`), encoding)
    assert.ok(secrets.isIn(Buffer.from(`key=${secret.toString(encoding)};`)), encoding)
  }
  assert.not(secrets.isIn(secret.subarray(0, 31)))
  assert.not(secrets.isInText(Buffer.alloc(32, 7).toString('base64url')))
})

test.run()
