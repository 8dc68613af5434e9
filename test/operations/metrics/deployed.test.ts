/*
 * Property: the dashboard and the alert rules in examples/deploy are expressions of Prometheus, and name only metrics that a node exports, with
 * labels that these have. Fails when a metric is renamed and a panel or an alert goes blind.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parser } from '@prometheus-io/lezer-promql'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { catalogue } from '../../../src/operations/metrics/catalogue.ts'

const test = suite('Dashboard and alerts')

const deployed = (name: string) =>
  readFile(fileURLToPath(new URL(`../../../examples/deploy/${name}`, import.meta.url)), 'utf8')

const rules = z.strictObject({
  groups: z.array(
    z.strictObject({
      name: z.string(),
      rules: z.array(
        z.strictObject({
          alert: z.string().regex(/^Cpns[A-Z]\w+$/),
          expr: z.string(),
          for: z
            .string()
            .regex(/^\d+[smhd]$/)
            .optional(),
          labels: z.strictObject({ severity: z.enum(['page', 'ticket']) }),
          annotations: z.strictObject({ summary: z.string(), action: z.string() }),
        }),
      ),
    }),
  ),
})
const dashboard = z.object({
  panels: z.array(
    z.object({
      id: z.int(),
      title: z.string(),
      gridPos: z.object({ x: z.int(), y: z.int(), w: z.int(), h: z.int() }),
      targets: z.array(z.object({ expr: z.string() })).default([]),
    }),
  ),
})

/** Labels that Prometheus adds, and the bucket of a histogram. */
const added = ['instance', 'job', 'le']
const described = new Map(Object.entries(catalogue))

/** The metric that a name stands for: a histogram is three. */
function metricOf(name: string) {
  const base = name.replace(/_(bucket|sum|count)$/, '')
  const histogram = described.get(base)
  return described.get(name) ?? (histogram?.kind === 'histogram' ? histogram : undefined)
}

/** What an expression names; the labels are all of it, in matchers, `by` and `without`. @throws when it is none */
function namesIn(expression: string): { readonly metrics: readonly string[]; readonly labels: readonly string[] } {
  const metrics: string[] = []
  const labels: string[] = []
  parser.parse(expression).iterate({
    enter({ type, from, to }) {
      const text = expression.slice(from, to)
      if (type.isError) throw new Error(`${expression}: not understood at ${from}`)
      if (type.name === 'VectorSelector') metrics.push(/^\w+/.exec(text)?.[0] ?? '')
      if (type.name === 'LabelName') labels.push(text)
    },
  })
  return { metrics, labels }
}

/** Why a node cannot answer the expression; `undefined` when it can. */
function objection(expression: string): string | undefined {
  const { metrics, labels } = namesIn(expression)
  const own = metrics.filter(name => name !== 'up').map(name => ({ name, metric: metricOf(name) }))
  const missing = own.find(({ metric }) => !metric)
  if (missing) return `${missing.name} is not exported`
  const known = new Set([...added, ...own.flatMap(({ metric }) => metric?.labels ?? [])])
  const strange = labels.find(label => !known.has(label))
  if (strange !== undefined) return `none of ${metrics.join(', ')} has a label ${strange}`
  return metrics.length === 0 ? 'it names no metric' : undefined
}

test('expressions are taken apart, and what is wrong with them is found', () => {
  const found = namesIn('sum by (verdict) (rate(cpns_access_admissions_total{verdict=~"a|b"}[5m]))')
  assert.equal(found, { metrics: ['cpns_access_admissions_total'], labels: ['verdict', 'verdict'] })
  assert.throws(() => namesIn('sum by ('), /not understood/)
  assert.match(objection('cpns_nothing') ?? '', /not exported/)
  assert.match(objection('cpns_links{user="x"}') ?? '', /has a label user/)
  assert.match(objection('cpns_links_bucket') ?? '', /not exported/)
})

test('alerts', async () => {
  const { groups } = rules.parse(parseYaml(await deployed('alerts.yaml')))
  const all = groups.flatMap(group => group.rules)
  assert.ok(all.length > 10)
  assert.is(new Set(all.map(({ alert }) => alert)).size, all.length)
  for (const { alert, expr, annotations } of all) {
    assert.is(objection(expr), undefined, alert)
    const said = [...annotations.summary.matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label)
    const { metrics } = namesIn(expr)
    const known = new Set([...added, ...metrics.flatMap(name => metricOf(name)?.labels ?? [])])
    for (const label of said) assert.ok(known.has(label), `${alert}: the summary names ${label}`)
  }
})

test('dashboard', async () => {
  const { panels } = dashboard.parse(JSON.parse(await deployed('grafana-dashboard.json')))
  assert.is(new Set(panels.map(({ id }) => id)).size, panels.length)
  const shown = panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr })))
  assert.ok(shown.length > 30)
  // What Grafana fills in before it asks.
  for (const { title, expr } of shown) assert.is(objection(expr.replaceAll('$instance', '.*')), undefined, title)
  for (const [index, { title, gridPos: a }] of panels.entries()) {
    assert.ok(a.x + a.w <= 24, title)
    for (const { title: other, gridPos: b } of panels.slice(index + 1)) {
      const overlap = a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
      assert.not.ok(overlap, `${title} lies upon ${other}`)
    }
  }
})

test.run()
