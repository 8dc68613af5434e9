import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { planRuns, readScenario, scenarioJsonSchema } from '../../src/simulation/scenario/read-scenario.ts'
import { runScenario } from '../../src/simulation/scenario/run.ts'
import { Secrets } from '../../src/simulation/scenario/secrets.ts'
import { conditionsOf } from '../../src/simulation/scenario/surroundings.ts'
import { production } from './production.ts'

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
  assert.is(planRuns(text, 'x.yaml', { seeds: [1] }).length, 4)
})

test('every example is a scenario, and the schema describes its fields', () => {
  const folder = join(import.meta.dirname, '../../examples/simulation')
  const files = readdirSync(folder).filter(file => file.endsWith('.yaml'))
  for (const file of files) assert.ok(planRuns(readFileSync(join(folder, file), 'utf8'), file).length > 0)
  assert.ok(files.length > 0)
  assert.ok(scenarioJsonSchema().properties?.workload)
})

const threeOperators = 'name: a\noperators: {count: 3}\n'
const runOf = (text: string) => runScenario(readScenario(text, 'x.yaml'), 1, { production })
const rejectionOf = (text: string): Promise<string> =>
  runOf(text).then(
    () => 'none',
    (error: Error) => `${error.name}: ${error.message}`,
  )

test('a graph that these operators or servers cannot form, and networks that it makes impossible, are named', async () => {
  assert.match(
    await rejectionOf(`${threeOperators}topology: {between: {type: grid, width: 2, height: 2}}`),
    /BadScenario: topology.between: A grid of 2 × 2 has 4 places, but there are 3/,
  )
  assert.match(
    await rejectionOf(`${threeOperators}topology: {between: {type: edges, edges: [[0, 3]]}}`),
    /topology.between: A link names node 3/,
  )
  assert.match(
    await rejectionOf('name: a\noperators: {count: 1, servers: 3}\ntopology: {within: {type: edges, edges: [[0, 1]]}}'),
    /topology.within: not all 3 servers of a.example are linked/,
  )
  assert.match(
    await rejectionOf(
      'name: a\noperators: {count: 4}\nnetworks: {grantees: 2}\ntopology: {between: {type: edges, edges: [[0, 1], [2, 3]]}}',
    ),
    /networks.grantees: no operator trusts 2 others/,
  )
})

test('a fault or a link whose hosts there are not is named, with the nearest one', async () => {
  const fault = (text: string) => rejectionOf(`${threeOperators}faults: [{at: 1s, ${text}}]`)
  assert.match(
    await fault('kind: crash, targets: [b.example/1, c.exmple]'),
    /BadScenario: faults.0.targets.1: there is no host "c.exmple"; did you mean "c.example"/,
  )
  assert.match(await fault('kind: partition, groups: [[a.example], [d.example]]'), /faults.0.groups.1.0: there is no/)
  assert.match(await fault('kind: clog, from: a.example/1, to: b.example/2'), /faults.0.to: there is no host/)
  assert.match(await fault("kind: crash, targets: ['@a.example']"), /@a.example is a client, but crash strikes servers/)
  assert.match(
    await rejectionOf(`${threeOperators}links: {overrides: [{from: a.example/1, to: b, loss: 1}]}`),
    /links.overrides.0.to: there is no host "b"/,
  )
})

test('a graph in GML lies where the scenario stands, and its latencies are the lengths of links', () => {
  const file = join(import.meta.dirname, 'fixtures/triangle.gml')
  const text = 'name: a\noperators: {count: 3}\ntopology: {between: {type: gml, file: ./triangle.gml}}'
  const scenario = readScenario(text, file)
  assert.equal(scenario.topology.between, {
    type: 'edges',
    edges: [
      [0, 1, 40],
      [1, 2, 5],
    ],
  })
  const latency = (from: string, to: string) => conditionsOf(scenario, 1)(from, to).latency
  assert.equal(latency('a.example/1', 'b.example/1'), { dist: 'const', ms: 40 })
  assert.equal(latency('c.example/1', 'b.example/1'), { dist: 'const', ms: 5 })
  assert.is(latency('a.example/1', 'c.example/1'), undefined)
  assert.is(latency('someone@a.example', 'b.example/1'), undefined, 'clients are elsewhere')
  assert.match(complaint(text.replace('triangle', 'square')), /topology.between.file: .\/square.gml: ENOENT/)
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
