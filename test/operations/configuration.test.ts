/*
 * A configuration is read from file, environment and flags, the later winning; whatever is unknown or wrong is refused
 * with its place and, if it is a slip of the pen, the nearest name. A reader that ignores unknown keys fails here.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { InvalidConfiguration, readConfiguration } from '../../src/operations/configuration.ts'

const read = (text: string, environment = {}, flags = {}) =>
  readConfiguration({ text, name: 'cpns.toml' }, environment, flags)

const refusal = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    assert.instance(error, InvalidConfiguration)
    return (error as Error).message
  }
  throw new Error('was not refused')
}

test('defaults fill what is left out', () => {
  const configuration = read('operator = "a.example"')
  assert.is(configuration.clients.port, 4680)
  assert.equal(configuration.peers.listen, ['/ip4/127.0.0.1/tcp/4600'])
  assert.equal(configuration.trust, {})
})

test('flags win over the environment, and that over the file', () => {
  const text = 'operator = "a.example"\n[clients]\nport = 1\nhost = "127.0.0.2"'
  assert.is(read(text).clients.port, 1)
  assert.is(read(text, { CPNS_CLIENTS_PORT: '2' }).clients.port, 2)
  const configuration = read(
    text,
    { CPNS_CLIENTS_PORT: '2', CPNS_CLIENTS_BEHIND_PROXY: 'true' },
    { 'clients.port': '3' },
  )
  assert.is(configuration.clients.port, 3)
  assert.is(configuration.clients.host, '127.0.0.2')
  assert.is(configuration.clients.behindProxy, true)
})

test('lists are comma-separated outside of the file', () => {
  const listen = '/ip4/127.0.0.1/tcp/1,/ip4/127.0.0.1/tcp/2'
  assert.is(read('operator = "a.example"', { CPNS_PEERS_LISTEN: listen }).peers.listen.length, 2)
})

test('an unknown key names the nearest known one', () => {
  assert.match(
    refusal(() => read('operator = "a.example"\n[clients]\nprot = 1')),
    /"clients.prot".*"clients.port"/,
  )
  assert.match(
    refusal(() => read('operater = "a.example"')),
    /"operater".*"operator"/,
  )
  assert.match(
    refusal(() => read('operator = "a.example"', { CPNS_CLIENT_PORT: '1' })),
    /"CPNS_CLIENTS_PORT"/,
  )
  assert.match(
    refusal(() => read('operator = "a.example"', {}, { 'log.levle': 'info' })),
    /"log.level"/,
  )
})

test('a wrong value names where it was set', () => {
  assert.match(
    refusal(() => read('operator = "A"')),
    /^cpns.toml: operator:/,
  )
  assert.match(
    refusal(() => read('operator = "a.example"', { CPNS_CLIENTS_PORT: 'x' })),
    /^environment: clients.port:/,
  )
  assert.match(
    refusal(() => read('operator = "a.example"\n[trust]\n"b.example" = "short"')),
    /trust.b.example/,
  )
  assert.match(
    refusal(() => read('operator = ')),
    /cpns.toml:1:\d+: not TOML/,
  )
})

test('a key server is reached safely and with a credential, and passphrases are no settings', () => {
  const source = (lines: string) => read(`operator = "a.example"\n[keySource]\n${lines}`).keySource
  assert.is(source('url = "https://keys.a.example/v1"\ntokenFile = "token"')?.ttlMs, 60_000)
  assert.is(source('url = "http://127.0.0.1:8080"\ntokenFile = "token"')?.timeoutMs, 3_000)
  assert.is(read('operator = "a.example"', { CPNS_PASSPHRASE: 'secret' }).keySource, undefined)
  for (const url of [
    'http://keys.a.example',
    'https://me:secret@keys.a.example',
    'https://a/?b=c',
    'ftp://a',
    'keys',
  ]) {
    const said = refusal(() => source(`url = "${url}"\ntokenFile = "token"`))
    assert.match(said, /keySource.url: expected/, url)
    assert.not.match(said, /secret/)
  }
  assert.match(
    refusal(() => source('url = "https://a"')),
    /tokenFile, or certificate and key/,
  )
  assert.match(
    refusal(() => source('url = "https://a"\ncertificate = "c.pem"\ntokenFile = "t"')),
    /go together/,
  )
})

test.run()
