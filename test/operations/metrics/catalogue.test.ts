/*
 * Property: what the code counts and observes is in the catalogue, with just the labels that it gives, and nothing else is there; names are
 * as Prometheus has them. Fails when a counter is added without a word on what it means, or a label is not said.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { processCatalogue } from '../../../src/adapters/metrics.ts'
import { catalogue } from '../../../src/operations/metrics/catalogue.ts'

const test = suite('Catalogue of metrics')

const src = fileURLToPath(new URL('../../../src', import.meta.url))
const sources = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.ts') && !file.endsWith('metrics/catalogue.ts'))
  .map(file => ({ file, text: readFileSync(`${src}/${file}`, 'utf8') }))
const described = new Map(Object.entries(catalogue))

/** `count('name', { a, b: … }` and `observe('name', value, { a }`: the names and the labels. */
const uses = sources.flatMap(({ file, text }) =>
  [...text.matchAll(/\.?(count|observe)\(\s*'(cpns_\w+)'([^;]*?)\)\n/g)].map(([, verb, name = '', rest = '']) => {
    const [, inside = ''] = /^,(?:[^{]*,)?\s*\{([^}]*)\}/s.exec(rest) ?? []
    const labels = inside
      .split(',')
      .map(part => part.split(':')[0]?.trim() ?? '')
      .filter(label => label !== '')
    return { file, verb, name, labels }
  }),
)

test('what is counted or observed is described, with its labels', () => {
  assert.ok(uses.length > 50, `${uses.length} found`)
  for (const { file, verb, name, labels } of uses) {
    const found = described.get(name)
    assert.ok(found, `${file}: ${name} is not in the catalogue`)
    assert.is(found.kind, verb === 'count' ? 'counter' : 'histogram', `${file}: ${name}`)
    assert.equal(labels.toSorted(), [...found.labels].toSorted(), `${file}: labels of ${name}`)
  }
})

test('what is described is counted, observed or read', () => {
  const named = new Set(sources.flatMap(({ text }) => [...text.matchAll(/'(cpns_\w+)'/g)].map(([, name]) => name)))
  const unused = [...described.keys()].filter(name => !named.has(name) && !(name in processCatalogue))
  assert.equal(unused, [])
})

test('names say the kind and the unit', () => {
  for (const [name, { kind, help, labels }] of described) {
    assert.match(name, /^(cpns|process|nodejs)_[a-z0-9_]+$/)
    assert.is(name.endsWith('_total'), kind === 'counter', name)
    if (kind === 'histogram') assert.match(name, /_(seconds|bytes)$/)
    assert.not.match(name, /_(ms|milliseconds|kb|percent)(_|$)/)
    assert.match(help, /\.$/, name)
    for (const label of labels) assert.not.match(label, /user|identity|subscriber|document|client|address/)
  }
})

test.run()
