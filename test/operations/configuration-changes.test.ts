/*
 * Property: of any two configurations a running node takes over exactly what the schema says that it may, and names all else as what takes
 * a start; what it has then differs from the newer one in that alone, and taking it over again changes nothing. Fails when a setting
 * is taken over that nothing in a running node reads again, or when one is passed over in silence.
 */
import { readFile } from 'node:fs/promises'
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { knownSettings, readConfiguration } from '../../src/operations/configuration.ts'
import { changesBetween, isReloadable, takenOver } from '../../src/operations/configuration-changes.ts'
import type { Configuration } from '../../src/operations/configuration-schema.ts'
import { configurationJsonSchema } from '../../src/operations/settings-text.ts'

const test = suite('Changes of a configuration')

const [own, pinA, pinB] = ['o', 'a', 'b'].map(letter => letter.repeat(43))
const trust = fc.dictionary(fc.constantFrom('a.example', 'b.example', 'c.example'), fc.constantFrom(own, pinA, pinB))
const quotas = fc.dictionary(
  fc.constantFrom('b.example', 'c.example'),
  fc.record({ documents: fc.nat(9), bytes: fc.nat(9) }, { requiredKeys: [] }),
)
const port = fc.constantFrom(4680, 4681)
const said = fc.record(
  {
    log: fc.record({ level: fc.constantFrom('debug', 'info') }),
    clients: fc.record({ port, origins: fc.subarray(['https://a.example']) }, { requiredKeys: [] }),
    media: fc.record({ folder: fc.constantFrom('m', 'media'), maxBytes: fc.integer({ min: 1, max: 9 }) }),
    peers: fc.record({ quota: fc.record({ documents: fc.nat(9) }, { requiredKeys: [] }), quotas }),
    scrub: fc.record({ restMs: fc.nat(9) }),
    admin: fc.record({ listen: fc.constant('127.0.0.1:1') }, { requiredKeys: [] }),
    trust,
  },
  { requiredKeys: [] },
)
const configuration: fc.Arbitrary<Configuration> = said.map(settings => {
  const text = Object.entries(flattened(settings)).map(([name, value]) => `${name} = ${JSON.stringify(value)}`)
  return readConfiguration({ text: ['operator = "a.example"', ...text].join('\n'), name: 'cpns.toml' })
})

/** Dotted keys of TOML, quoted. */
function flattened(value: object, prefix = ''): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => {
      const name = `${prefix}${JSON.stringify(key)}`
      const isTable = typeof inner === 'object' && !Array.isArray(inner)
      return isTable ? Object.entries(flattened(inner, `${name}.`)) : [[name, inner]]
    }),
  )
}

test('what may be taken over is, and nothing else', () => {
  fc.assert(
    fc.property(configuration, configuration, (before, after) => {
      const changes = changesBetween(before, after)
      const next = takenOver(before, after)
      const reloadable = changes.filter(change => change.isReloadable)
      assert.equal(changesBetween(before, next), reloadable)
      assert.equal(
        changesBetween(next, after),
        changes.filter(change => !change.isReloadable),
      )
      assert.equal(takenOver(next, after), next)
      assert.equal(changesBetween(before, before), [])
    }),
  )
})

test('the operator’s own fingerprint, and what sockets and folders are made of, take a start', () => {
  const of = (text: string) => readConfiguration({ text: `operator = "a.example"\n${text}`, name: 'cpns.toml' })
  const after = of(
    `clients.port = 1\ndata = "d"\ntrust."a.example" = "${pinA}"\ntrust."b.example" = "${pinB}"\npeers.quotas."b.example".bytes = 1`,
  )
  assert.equal(
    changesBetween(of(''), after).map(({ setting, isReloadable: now }) => [setting, now]),
    [
      ['data', false],
      ['peers.quotas.b.example', true],
      ['clients.port', false],
      ['trust.a.example', false],
      ['trust.b.example', true],
    ],
  )
})

test('the published schema says which are taken over', () => {
  const schema = JSON.stringify(configurationJsonSchema())
  const live = [...knownSettings.keys()].filter(isReloadable)
  assert.ok(live.includes('log.level') && live.includes('trust') && !live.includes('clients.port'))
  // The four of a quota stand there twice: for all operators, and for single ones.
  assert.is(schema.split('"reloadable":true').length - 1, live.length + 4)
})

test('the table for operators has these and no others', async () => {
  const readme = await readFile(new URL('../../src/operations/README.md', import.meta.url), 'utf8')
  const [, table = ''] = /\| settings \| what holds from then on \|\n([\s\S]*?)\n\n/.exec(readme) ?? []
  const named = table
    .split('\n')
    .flatMap(row => [...(row.split('|')[1] ?? '').matchAll(/`([\w.]+)`/g)].map(([, name = '']) => name))
    .filter(name => name !== 'peers.folder')
  const isNamed = (setting: string) => named.some(name => setting === name || setting.startsWith(`${name}.`))
  assert.equal([...knownSettings.keys()].filter(isReloadable), [...knownSettings.keys()].filter(isNamed))
})

test.run()
