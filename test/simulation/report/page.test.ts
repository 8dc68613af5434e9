/*
 * Whatever a run has measured, and whatever its names hold, the report is a page that can be read: every element is closed, no
 * coordinate is anything but a number, nothing of a name is markup; and the same data gives the same bytes. Fails with a scale
 * over an empty domain, or a name that is written as it is.
 */
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { estimate } from '../../../src/simulation/report/comparison-figure.ts'
import { type ComparedRun, comparisonFigures, comparisonPage } from '../../../src/simulation/report/comparison-page.ts'
import { figuresOf, reportPage } from '../../../src/simulation/report/page.ts'
import type { RunData } from '../../../src/simulation/report/run-data.ts'
import { readScenario } from '../../../src/simulation/scenario/read-scenario.ts'
import type { RunResult } from '../../../src/simulation/scenario/run.ts'
import { flaw } from './well-formed.ts'

const size = fc.oneof(fc.constantFrom(0, 1, 1e12), fc.double({ min: 0, max: 1e9, noNaN: true }), fc.nat(10_000))
const share = fc.double({ min: 0, max: 1, noNaN: true })
const words = fc.oneof(
  fc.constantFrom('<script>alert(1)</script>', '"\'&amp;', '</svg>', '\u0000\u0007\ud800', 'a.example/1'),
  fc.string({ unit: 'binary', maxLength: 12 }),
)
const times = fc.array(size, { maxLength: 6 }).map(all => all.toSorted((a, b) => a - b))
const byClass = fc.record({ payload: size, metadata: size, reconciliation: size, requests: size, clients: size })

const runData: fc.Arbitrary<RunData> = fc.record({
  name: words,
  description: words,
  seed: fc.oneof(fc.nat(), words),
  durationMs: size,
  verdict: words,
  phases: times.map(all =>
    all.map((fromMs, at) => ({
      phase: at % 2 ? ('faults' as const) : ('liveness' as const),
      fromMs,
      untilMs: fromMs + 1,
    })),
  ),
  faults: fc.array(
    fc.record({ kind: words, what: words, fromMs: size, untilMs: fc.option(size, { nil: undefined }) }),
    { maxLength: 5 },
  ),
  hosts: fc.array(words, { maxLength: 5 }),
  replicas: times.chain(all =>
    fc.tuple(
      ...all.map(timeMs =>
        fc.record({
          timeMs: fc.constant(timeMs),
          current: share,
          serving: share,
          staleMs: fc.record({ p50: size, p90: size, p99: size, max: size }),
          lacks: fc.record({ p50: size, p99: size, max: size }),
        }),
      ),
    ),
  ),
  latencies: fc.array(
    fc.record({ what: words, count: fc.nat(), quantiles: fc.array(fc.tuple(share, size), { maxLength: 5 }) }),
    { maxLength: 9 },
  ),
  bytes: times.chain(all => fc.tuple(...all.map(timeMs => fc.record({ timeMs: fc.constant(timeMs), byClass })))),
  linkBytes: fc
    .nat(4)
    .chain(count =>
      fc.array(fc.array(size, { minLength: count, maxLength: count }), { minLength: count, maxLength: count }),
    ),
  linkPackets: fc.constant([]),
  anomalies: fc.array(fc.record({ kind: fc.constant('storm' as const), what: words, timeMs: size }), { maxLength: 3 }),
  spaceTime: fc.record({
    hosts: fc.array(words, { minLength: 1, maxLength: 4 }),
    fromMs: fc.nat(1_000),
    untilMs: fc.integer({ min: 1_001, max: 9_000 }),
    messages: fc.array(
      fc.record(
        { from: words, to: words, about: words, bytes: size, sentMs: size, arrivedMs: size },
        { requiredKeys: ['from', 'to', 'about', 'bytes', 'sentMs'] },
      ),
      { maxLength: 4 },
    ),
    leftOut: fc.nat(3),
    marks: fc.array(fc.record({ host: words, timeMs: size, kind: words }), { maxLength: 3 }),
  }),
})

const resultOf = (data: RunData): RunResult => ({
  scenario: readScenario('name: a', 'a.yaml'),
  seed: data.seed,
  outcome: { verdict: false, why: 'invariant', what: data.verdict },
  violations: [{ invariant: 'no-secrets', what: data.description, timeMs: 1 }],
  metrics: { 'convergence.afterHealMs': 3, 'register.ok': 5 },
  data,
  faults: data.faults,
  hash: '0',
  checkpoints: [],
  events: 1,
  virtualMs: data.durationMs,
})
const provenance = { program: 'cpns', node: '24', v8: '13' }

test('any data gives a well-formed page, twice the same', () => {
  fc.assert(
    fc.property(runData, data => {
      const figures = figuresOf(data)
      for (const { svg, name } of figures) assert.is(flaw(svg), undefined, name)
      const page = reportPage(resultOf(data), provenance, figures)
      assert.is(flaw(page), undefined)
      assert.not.match(page, '<script')
      assert.is(reportPage(resultOf(data), provenance, figuresOf(data)), page)
    }),
    { numRuns: 300 },
  )
})

test('so do runs that are compared', () => {
  const run: fc.Arbitrary<ComparedRun> = fc.record({
    seed: fc.oneof(fc.nat(), words),
    swept: fc.oneof(fc.record({ 'links.loss': size }), fc.record({ x: words }), fc.constant({})),
    verdict: fc.constantFrom('ok', 'no-convergence'),
    metrics: fc.record({ 'convergence.afterHealMs': size }),
    folder: words,
  })
  fc.assert(
    fc.property(fc.array(run, { maxLength: 6 }), words, (runs, name) => {
      const figures = comparisonFigures(runs)
      for (const { svg } of figures) assert.is(flaw(svg), undefined)
      assert.is(flaw(comparisonPage(name, runs, figures)), undefined)
    }),
    { numRuns: 300 },
  )
})

test('the confidence interval is Student’s', () => {
  const { mean, low, high } = estimate([1, 2, 3, 4])
  assert.is(mean, 2.5)
  assert.ok(Math.abs(high - 2.5 - 3.182 * (Math.sqrt(5 / 3) / 2)) < 1e-9)
  assert.ok(Math.abs(high + low - 2 * mean) < 1e-9)
  assert.equal(estimate([7]), { mean: 7, low: 7, high: 7 })
  for (const [n, t] of [
    [16, 2.131],
    [17, 2.12],
    [21, 2.086],
    [31, 2.042],
  ] as const) {
    const values = Array.from({ length: n }, (_, at) => at)
    const deviation = Math.sqrt((n * (n + 1)) / 12)
    assert.ok(Math.abs((estimate(values).high - (n - 1) / 2) / (deviation / Math.sqrt(n)) - t) < 0.001, `n = ${n}`)
  }
})

test('runs that differ in another swept field share no interval', () => {
  const runs = [1, 2, 3].flatMap(seed =>
    [0, 1].flatMap(loss =>
      [1, 100].map(rate => ({
        seed,
        swept: { loss, rate },
        verdict: 'ok',
        folder: '',
        metrics: { 'frames.perOperation': rate },
      })),
    ),
  )
  const [byLoss] = comparisonFigures(runs)
  assert.match(byLoss?.caption ?? '', 'n = 3 ')
  assert.match(byLoss?.svg ?? '', 'rate=100')
  // No two seeds differ, so no band has any height.
  const bands = [...(byLoss?.svg ?? '').matchAll(/d="([^"]+)" fill="[^"]+" fill-opacity="0.18"/g)]
  assert.is(bands.length, 2)
  for (const [, d = ''] of bands) assert.is(new Set([...d.matchAll(/,([\d.]+)/g)].map(([, y]) => y)).size, 1, d)
})

test('a metric that is 0 in all runs has an axis from 0 to 1', () => {
  const runs = [1, 2].map(seed => ({ seed, swept: {}, verdict: 'ok', folder: '', metrics: { 'staleness.maxMs': 0 } }))
  const svg = comparisonFigures(runs)[0]?.svg ?? ''
  const labels = [...svg.matchAll(/text-anchor="end">([^<]*)</g)].map(([, label]) => label)
  assert.equal(labels, ['0.0', '0.2', '0.4', '0.6', '0.8', '1.0'])
})

const quiet: RunData = {
  name: 'a',
  description: '',
  seed: 1,
  durationMs: 4_000,
  verdict: 'ok',
  phases: [],
  faults: [],
  hosts: ['a', 'b'],
  replicas: [],
  latencies: [],
  bytes: [],
  linkBytes: [],
  linkPackets: [],
  anomalies: [],
}

test('what was sent is drawn where it was sent, not a sample later', () => {
  const bytesAt = (timeMs: number, payload: number) => ({
    timeMs,
    byClass: { payload, metadata: 0, reconciliation: 0, requests: 0, clients: 0 },
  })
  const data = { ...quiet, bytes: [bytesAt(1_000, 0), bytesAt(2_000, 2_048), bytesAt(3_000, 0), bytesAt(4_000, 0)] }
  const svg = figuresOf(data).find(({ name }) => name === 'traffic')?.svg ?? ''
  const [, d = ''] = /d="([^"]+)" fill="#0072b2"/.exec(svg) ?? []
  const [upper = ''] = d.split('L183.5,14L305,14')
  assert.is.not(upper, d, `sent from the first second (183.5) to the second (305): ${d}`)
})

test('a message that arrives after the window is not drawn as arrived in it', () => {
  const message = { from: 'a', to: 'b', about: 'have', bytes: 1, sentMs: 0, arrivedMs: 4_000 }
  const spaceTime = { hosts: ['a', 'b'], fromMs: 0, untilMs: 1_000, messages: [message], leftOut: 0, marks: [] }
  const svg = figuresOf({ ...quiet, spaceTime }).find(({ name }) => name === 'space-time')?.svg ?? ''
  const [, y1, x2, y2] = /y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)" stroke="[^"]+" stroke-width="0.8"/.exec(svg) ?? []
  const lanes = [...svg.matchAll(/y1="([\d.]+)" y2="\1" stroke="#bbbbbb"/g)].map(([, y]) => Number(y))
  assert.is(Number(x2), 548)
  assert.is(Number(y1), lanes[0])
  assert.is(Number(y2), (lanes[0] ?? 0) + ((lanes[1] ?? 0) - (lanes[0] ?? 0)) / 4)
})

test('the checker of markup sees what is wrong', () => {
  assert.ok(flaw('<p>a'))
  assert.ok(flaw('<p x="NaN"></p>'))
  assert.ok(flaw('<p>NaN</p>'))
  assert.ok(flaw('<p>a & b</p>'))
  assert.ok(flaw('<p>a < b</p>'))
  assert.is(flaw('<p x="1">a &#38; b</p>'), undefined)
})

test.run()
