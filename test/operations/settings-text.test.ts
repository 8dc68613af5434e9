/*
 * Settings that are printed mean what was read, and say who set each: what is printed can stand in for the file. It fails if
 * a setting is left out, printed under a wrong table, or ascribed to a source that did not win.
 */
import fc from 'fast-check'
import { stringify } from 'smol-toml'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { effectiveSettings, readConfiguration } from '../../src/operations/configuration.ts'
import { configurationJsonSchema, formatSettings } from '../../src/operations/settings-text.ts'

const test = suite('settings as text')

const fingerprint = 'A'.repeat(43)
const path = fc.stringMatching(/^[a-z/"\\ ä]{1,12}$/)
const file = fc.record(
  {
    operator: fc.constant('a.example'),
    data: path,
    peers: fc.record({ listen: fc.array(path), folder: path }, { requiredKeys: [] }),
    clients: fc.record({ port: fc.nat(65_535), behindProxy: fc.boolean() }, { requiredKeys: [] }),
    keySource: fc.record(
      { url: fc.constant('https://keys.example/v1'), tokenFile: path, ttlMs: fc.nat(1_000) },
      { requiredKeys: ['url', 'tokenFile'] },
    ),
    storage: fc.record({ devices: fc.record({ maxPerUser: fc.integer({ min: 1, max: 1_000 }) }) }),
    trust: fc.dictionary(fc.constantFrom('b.example', 'c.example'), fc.constant(fingerprint)),
  },
  { requiredKeys: ['operator'] },
)

test('what is printed is read as what was read', () => {
  fc.assert(
    fc.property(file, fc.option(fc.nat(65_535), { nil: undefined }), (values, port) => {
      const toml = { text: stringify(values), name: 'cpns.toml' }
      const environment = port === undefined ? {} : { CPNS_CLIENTS_PORT: String(port) }
      const printed = formatSettings(effectiveSettings(toml, environment))
      assert.equal(readConfiguration({ text: printed, name: 'printed' }), readConfiguration(toml, environment))
    }),
  )
})

test('each setting says who has set it', () => {
  const toml = { text: 'operator = "a.example"\n[clients]\nport = 1\nhost = "127.0.0.2"', name: 'cpns.toml' }
  const settings = effectiveSettings(toml, { CPNS_CLIENTS_PORT: '2' }, { 'log.level': 'debug' })
  const of = (name: string) => settings.find(setting => setting.name === name)
  assert.equal(of('clients.port'), { name: 'clients.port', value: 2, source: 'environment' })
  assert.equal(of('clients.host'), { name: 'clients.host', value: '127.0.0.2', source: 'cpns.toml' })
  assert.equal(of('log.level'), { name: 'log.level', value: 'debug', source: 'flags' })
  assert.equal(of('clients.behindProxy'), { name: 'clients.behindProxy', value: false, source: 'default' })
  assert.equal(of('clients.key'), { name: 'clients.key', value: undefined, source: 'default' })
})

test('the JSON Schema knows every setting', () => {
  const schema = JSON.stringify(configurationJsonSchema())
  for (const { name } of effectiveSettings({ text: 'operator = "a.example"', name: 'cpns.toml' })) {
    assert.ok(schema.includes(`"${name.split('.').at(-1)}"`), name)
  }
})

test.run()
