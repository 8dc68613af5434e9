/*
 * Proves: the content key of a service group goes to its members and to nobody else; it is the same at every server of the
 * home operator; any change of the membership brings another, which nobody who was not in it can have; and no key stands
 * in any document, disk record, log or metric.
 * Fails if who left can have the next key, in advance or after; if who joined can have an earlier one where the history is
 * closed; if servers derive different keys; or if a key can be had by a proof, through somebody else's server.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { signProof } from '../../src/federation/proof.ts'
import type { GroupKeyResult, ServiceGroup } from '../../src/inventory/methods.ts'
import {
  a,
  answerOf,
  b,
  crypto,
  grant,
  homeNetwork,
  keyOf,
  newId,
  Pne,
  refusalOf,
  type Server,
  subscribe,
  type World,
  world,
} from './world.ts'

const test = suite('content keys of service groups')
const flat = { home: a, pnId: 'flat' }

/** Lamp (A) owns a group in which radio (B) is too; clock (A) is in the PN only. */
async function grouped(params: object = {}, limits = {}) {
  const w = await world({ [a]: 2, [b]: 1 }, limits)
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'clock')
  subscribe(w, b, 'radio')
  const [lamp, clock, radio] = [new Pne(a, 'lamp'), new Pne(a, 'clock'), new Pne(b, 'radio')]
  await hub.update('add', [lamp.name, clock.name, radio.name])
  await grant(w, 'flat', b)
  await w.replicate()
  for (const pne of [lamp, clock, radio]) {
    await pne.register(hub)
    await pne.confirm(hub)
    await w.replicate()
  }
  const create = {
    commandId: newId(),
    ...flat,
    pne: lamp.name,
    name: 'Music',
    service: { serviceId: 'm', serviceName: 'M' },
    ...params,
  }
  const { group } = await w.at(a).call<{ group: ServiceGroup }>('group.create', create, 'lamp')
  const { groupId } = group
  const change = async (pne: Pne, method: string, more: object = {}) => {
    w.clock.advance(1)
    const given = { commandId: newId(), ...flat, groupId, pne: pne.name, ...more }
    const result = await w.at(pne.operator).call<{ group: ServiceGroup }>(method, given, pne.pneId)
    await w.replicate()
    return result
  }
  await change(radio, 'group.join')
  const key = (pne: Pne, generation?: string, at: Server = w.at(pne.operator)) =>
    at.call<GroupKeyResult>(
      'group.key',
      { ...flat, groupId, pne: pne.name, ...(generation && { generation }) },
      pne.pneId,
    )
  return { w, hub, lamp, clock, radio, groupId, change, key }
}

const groupAt = async (w: World) => {
  const { groups } = await w.at(a).call<{ groups: ServiceGroup[] }>('group.find', flat, 'alice')
  return groups[0]
}

test('all members have one key, at whichever server of the home they ask, and the group names its generation', async () => {
  const { w, lamp, radio, key } = await grouped()
  assert.is((await groupAt(w))?.generation, undefined, 'none before a member has asked')
  const given = await key(radio)
  await w.replicate()
  assert.equal(await key(lamp), given)
  assert.equal(await key(lamp, undefined, w.at(a, 1)), given)
  assert.equal(await key(lamp, given.generation), given)
  assert.is((await groupAt(w))?.generation, given.generation)
  assert.is(Buffer.from(given.key, 'base64url').length, 32)
  await w.stop()
})

test('who left has neither the next key nor, any more, its own; who stays has both', async () => {
  const { w, lamp, radio, change, key } = await grouped()
  const before = await key(radio)
  await change(radio, 'group.leave')
  assert.is(await refusalOf(key(radio)), '403 NOT_GROUP_MEMBER')
  assert.is(await refusalOf(key(radio, before.generation)), '403 NOT_GROUP_MEMBER')
  const after = await key(lamp)
  assert.is.not(after.generation, before.generation)
  assert.is.not(after.key, before.key)
  assert.equal(await key(lamp, before.generation), before, 'what was sealed for it while it was away, it can open')

  await change(radio, 'group.join')
  const back = await key(radio)
  assert.not.ok([before.key, after.key].includes(back.key))
  for (const { generation } of [before, after]) {
    assert.is(await refusalOf(key(radio, generation)), '404 GENERATION_UNKNOWN', 'who comes back is not who it was')
  }
  await w.stop()
})

test('who joins has no earlier key, unless the group lets its members read back', async () => {
  for (const history of ['closed', 'open']) {
    const { w, radio, clock, change, key } = await grouped({ history })
    const before = await key(radio)
    await change(clock, 'group.join')
    const now = await key(clock)
    assert.is.not(now.key, before.key)
    if (history === 'open') assert.equal(await key(clock, before.generation), before)
    else assert.is(await refusalOf(key(clock, before.generation)), '404 GENERATION_UNKNOWN')
    await w.stop()
  }
})

test('who read back and leaves does not hold the key of those who stay', async () => {
  const { w, lamp, clock, change, key } = await grouped({ history: 'open' })
  const before = await key(lamp)
  await change(clock, 'group.join')
  assert.equal(await key(clock, before.generation), before)
  await w.replicate()
  await change(clock, 'group.leave')
  assert.is((await groupAt(w))?.generation, undefined)
  assert.is.not((await key(lamp)).key, before.key, 'the members are those that they were, the key is not')
  await w.stop()
})

test('a key of a generation that is not there yet is given to nobody, whatever it is called', async () => {
  const { w, lamp, radio, change, key } = await grouped({ history: 'open' })
  await key(lamp)
  const guess = Buffer.from(crypto.sha256(new Uint8Array(1)).slice(0, 16)).toString('base64url')
  assert.is(await refusalOf(key(radio, guess)), '404 GENERATION_UNKNOWN')
  await change(radio, 'group.leave')
  assert.is.not((await key(lamp)).generation, guess)
  await w.stop()
})

test('removed from the PN, or away for good: the key changes with nobody’s word', async () => {
  const { w, hub, lamp, radio, clock, change, key } = await grouped()
  await change(clock, 'group.join')
  const all = await key(clock)
  await hub.update('remove', [radio.name])
  await w.replicate()
  const two = await key(clock)
  assert.is.not(two.key, all.key)
  assert.is(await refusalOf(key(radio)), '409 NOT_MEMBER')

  w.clock.advance(80_000_000)
  await lamp.register(hub)
  await lamp.confirm(hub)
  w.clock.advance(10_000_000)
  assert.is(await refusalOf(key(clock)), '409 NOT_REGISTERED')
  const one = await key(lamp)
  assert.is.not(one.key, two.key)
  await clock.register(hub)
  await clock.confirm(hub)
  const again = await key(clock)
  assert.not.ok([all.key, two.key, one.key].includes(again.key))
  assert.equal(await key(clock, two.generation), two)
  assert.is(await refusalOf(key(clock, one.generation)), '404 GENERATION_UNKNOWN', 'it was away then')
  await w.stop()
})

test('who ends its registration is out at once, until it registers again', async () => {
  const { w, hub, lamp, clock, change, key } = await grouped()
  await change(clock, 'group.join')
  const before = await key(clock)
  w.clock.advance(1)
  await clock.deregister(hub, w.clock.now())
  assert.is(await refusalOf(key(clock)), '409 NOT_REGISTERED')
  assert.is.not((await key(lamp)).key, before.key)
  await clock.register(hub)
  await clock.confirm(hub)
  assert.not.ok([before.key, (await key(lamp, before.generation)).key].includes((await key(clock)).key))
  await w.stop()
})

test('keys are refused to who is not in the group, and to every proof', async () => {
  const { w, lamp, clock, groupId, key } = await grouped()
  assert.is(await refusalOf(key(clock)), '403 NOT_GROUP_MEMBER')
  const params = { ...flat, groupId, pne: lamp.name }
  assert.is(await refusalOf(w.at(a).call('group.key', params, 'clock')), '403 NOT_ITSELF')
  assert.is(await refusalOf(w.at(a).call('group.key', params, 'alice')), '403 NOT_ITSELF')
  assert.is(await refusalOf(w.at(a).call('group.key', { ...params, groupId: 'none' }, 'lamp')), '404 GROUP_UNKNOWN')

  const proof = signProof(
    {
      operator: a,
      identity: 'lamp',
      executor: a,
      document: asDocumentId('pn/a.example/flat'),
      commandId: newId(),
      expires: w.clock.now() + 60_000,
    },
    'group.key',
    params,
    { kind: 'psk', secret: keyOf(a, 'lamp') },
    crypto,
  )
  const away = { operator: a, identity: 'lamp' }
  assert.is(await refusalOf(w.at(b).call('group.key', params, away, proof)), '403 SECURE_SESSION_ONLY')
  assert.is(await refusalOf(w.at(b).call('group.key', params, away)), '403 SECURE_SESSION_ONLY')
  assert.is(await refusalOf(w.at(a).call('group.key', params, 'lamp', proof)), '403 SECURE_SESSION_ONLY')
  const handler = w.at(a).handlers.get('group.key')
  assert.ok(handler)
  const forwarded = await answerOf(handler, { method: 'group.key', params, proof }, w.at(b))
  assert.is(!forwarded.ok && forwarded.cause, 'SECURE_SESSION_ONLY')
  await w.stop()
})

test('no key is in a document, on a disk, in a log or a metric', async () => {
  const { w, lamp, radio, key } = await grouped()
  const { key: secret, generation } = await key(radio)
  await key(lamp, generation)
  await w.replicate()
  const forms = [Buffer.from(secret, 'base64url'), Buffer.from(secret)]
  const { telemetry } = w.at(a)
  const said = Buffer.from(JSON.stringify(telemetry, (_, value) => (value instanceof Map ? [...value] : value)))
  const stored: Buffer[] = []
  for (const server of w.servers) {
    for await (const { document } of server.documents.list('')) {
      const { entries } = await server.documents.missing(document, new Map(), 1 << 24)
      stored.push(...entries.map(entry => Buffer.from(entry)))
    }
    for await (const { value } of server.store.localScan('')) stored.push(Buffer.from(value))
  }
  assert.ok(
    stored.some(bytes => bytes.includes(generation)),
    'it looks where things are',
  )
  for (const form of forms) for (const bytes of [said, ...stored]) assert.not.ok(bytes.includes(form))
  await w.stop()
})

test('two servers of the home that do not reach each other name a generation each: both keys stay good', async () => {
  const { w, lamp, radio, key } = await grouped()
  const one = await key(lamp)
  w.clock.advance(1)
  const other = await key(lamp, undefined, w.at(a, 1))
  assert.is.not(one.generation, other.generation)
  await w.replicate()
  assert.equal(await key(radio), other, 'the later one is the one to seal with')
  assert.equal(await key(radio, one.generation), one)
  await w.stop()
})

test('a server whose clock is behind names a generation that counts', async () => {
  const { w, lamp, radio, change, key } = await grouped()
  w.clock.jump(240_000)
  const ahead = await key(lamp)
  w.clock.jump(-240_000)
  await change(radio, 'group.leave')
  const next = await key(lamp)
  assert.is.not(next.generation, ahead.generation)
  assert.equal(await key(lamp), next)
  await w.stop()
})

test('so many keys are kept as may be, the latest', async () => {
  const { w, lamp, radio, change, key } = await grouped({}, { maxGenerations: 2 })
  const generations: string[] = []
  for (let n = 0; n < 3; n++) {
    generations.push((await key(lamp)).generation)
    await change(radio, n % 2 === 0 ? 'group.leave' : 'group.join')
  }
  const last = await key(lamp)
  const [first = '', second = '', third = ''] = generations
  assert.is(await refusalOf(key(lamp, first)), '404 GENERATION_UNKNOWN')
  assert.is(await refusalOf(key(lamp, second)), '404 GENERATION_UNKNOWN')
  assert.is((await key(lamp, third)).generation, third)
  assert.equal(await key(lamp), last)
  await w.stop()
})

test('a new secret of the operator brings new keys, and the old ones stay readable as long as it is kept', async () => {
  const { w, lamp, key } = await grouped()
  const before = await key(lamp)
  const server = w.at(a)
  const fresh = { version: 9, key: nodeCrypto().sha256(new Uint8Array(9)) }
  const secrets = server.secrets.macKeys
  const withKeys = (macKeys: typeof secrets) => {
    Object.assign(server.secrets, { macKeys })
    return server.restart()
  }
  await withKeys([...secrets, fresh])
  w.clock.advance(1)
  const after = await key(lamp)
  assert.is.not(after.generation, before.generation)
  assert.equal(await key(lamp, before.generation), before)
  await withKeys([fresh])
  assert.equal(await key(lamp), after)
  assert.is(await refusalOf(key(lamp, before.generation)), '404 GENERATION_UNKNOWN')
  await w.stop()
})

test.run()
