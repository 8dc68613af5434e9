/*
 * What a figure shows is what happened: staleness and currency by a history computed by hand, bytes by class that sum up to what
 * the network has carried, quantiles that rise. Fails when a replica that lacks a write counts as current, or a byte is counted
 * twice or not at all.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { DocumentNotice } from '../../../src/document/documents.ts'
import { asDocumentId } from '../../../src/document/names.ts'
import type { LogHead } from '../../../src/ports/log-store.ts'
import type { LogId, ServerId } from '../../../src/ports/names.ts'
import { ReplicaProgress } from '../../../src/simulation/report/replica-progress.ts'
import { trafficClasses } from '../../../src/simulation/report/run-data.ts'
import { runScenario } from '../../../src/simulation/scenario/run.ts'
import { production } from '../production.ts'
import { smallScenario } from '../scenarios.ts'

const document = asDocumentId('pn/a.example/home')
const log = 'AAAAAAAAAAAAAAAAAAAAAA' as LogId
const next = 'BBBBBBBBBBBBBBBBBBBBBA' as LogId
const server = 'a' as ServerId

const head = (of: LogId, length: number): LogHead => ({
  log: of,
  server,
  length,
  hash: new Uint8Array(32).fill(length),
  bytes: 0,
  clock: 0,
})

const notice = (
  source: 'own' | ServerId,
  seqs: readonly number[],
  of = log,
  superseded: readonly LogId[] = [],
): DocumentNotice => ({
  document,
  source,
  entries: seqs.map(seq => ({ log: of, seq, bytes: new Uint8Array(0) })),
  index: {
    document,
    heads: [head(of, (seqs.at(-1) ?? 0) + 1)],
    superseded: superseded.map(dead => ({ log: dead, seq: 9 })),
    digest: new Uint8Array(32).fill(seqs.at(-1) ?? 0),
    epoch: 0,
  },
})

test('age and number of what replicas lack', () => {
  const progress = new ReplicaProgress()
  const sample = (nowMs: number) => progress.sample(nowMs, [[document, ['one', 'other']]], 1)
  assert.is(sample(0).current, 1, 'nothing was written')
  progress.took('one', notice('own', [0]), 100, 2)
  progress.took('one', notice('own', [1]), 300, 2)
  const behind = sample(1_000)
  assert.is(behind.current, 0.5)
  assert.is(behind.staleMs.max, 900, 'since the first of the two')
  assert.is(behind.staleMs.p50, 900)
  assert.is(behind.lacks.max, 2)
  progress.took('other', notice(server, [0]), 1_100, 2)
  const partly = sample(1_200)
  assert.is(partly.staleMs.max, 900, 'since the second')
  assert.is(partly.lacks.max, 1)
  progress.took('other', notice(server, [1]), 1_300, 2)
  assert.is(sample(1_400).current, 1)
  assert.equal(progress.everywhereMs, [1_000, 1_000])
  assert.is(progress.lastWriteMs, 300)
})

test('whoever has what took a log’s place lacks nothing; who lacks that, does', () => {
  const progress = new ReplicaProgress()
  progress.took('one', notice('own', [0, 1]), 0, 2)
  progress.took('one', notice('own', [0], next, [log]), 500, 2)
  const { current, lacks } = progress.sample(600, [[document, ['one', 'other']]], 1)
  assert.is(current, 0.5)
  assert.is(lacks.max, 1, 'the old log is asked of nobody')
})

test('a replica that is again as it was, and one that stays behind, are anomalies', () => {
  const progress = new ReplicaProgress()
  progress.took('one', notice('own', [0]), 0, 2)
  progress.took('one', notice('own', [1]), 1, 2)
  progress.took('one', notice('own', [0]), 2, 2)
  assert.equal(
    progress.anomalies.map(({ kind }) => kind),
    ['oscillation'],
  )
  for (const nowMs of [30_000, 70_000, 80_000]) progress.sample(nowMs, [[document, ['one', 'other']]], 1)
  assert.is(progress.anomalies.filter(({ kind, what }) => kind === 'stale-peer' && what.includes('other')).length, 1)
})

test('what a replica lacked while it was away is no anomaly until it has served for a minute', () => {
  const progress = new ReplicaProgress()
  const stale = (nowMs: number) => {
    progress.sample(nowMs, [[document, ['one', 'other']]], 1)
    return progress.anomalies.filter(({ kind }) => kind === 'stale-peer').length
  }
  progress.took('one', notice('own', [0]), 0, 2)
  progress.serves('other', 900_000)
  assert.is(stale(901_000), 0)
  assert.is(stale(960_001), 1)
})

test('bytes by class are all bytes, and nothing is counted that nobody sent', async () => {
  const { data, metrics, outcome } = await runScenario(smallScenario(), 3, { production })
  assert.equal(outcome, { verdict: true })
  const told = data.bytes.reduce(
    (sum, { byClass }) => sum + trafficClasses.reduce((all, name) => all + byClass[name], 0),
    0,
  )
  const carried = Object.entries(metrics).reduce(
    (sum, [name, value]) => sum + (name.startsWith('bytes.') ? value : 0),
    0,
  )
  // What passes after the last sample is in no interval.
  assert.ok(told <= carried && told > 0.99 * carried, `${told} of ${carried}`)
  for (const name of trafficClasses) {
    assert.ok(
      data.bytes.some(({ byClass }) => byClass[name] > 0),
      `no ${name}`,
    )
  }
  for (const { quantiles } of data.latencies) {
    for (const [at, [, ms]] of quantiles.entries()) assert.ok(ms >= (quantiles[at - 1]?.[1] ?? 0))
  }
  assert.ok(
    data.replicas.some(({ current }) => current < 1),
    'a partition leaves replicas behind',
  )
  assert.is(data.replicas.at(-1)?.current, 1)
  assert.ok((metrics['convergence.afterLastWriteMs'] ?? -1) >= 0)
})

test.run()
