/*
 * Proves: each device hears that its mailbox has changed, on its connection at whichever server, else by Web Push from the
 * server that made the change; never the device that made it, nothing out of its scope, nothing by who lost the right to
 * read, and of a burst one notification, or two. What was not told when a server dies is told when it is back. Dead
 * endpoints are forgotten, busy ones tried again. Production nodes in the simulator, push services included.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import type { Json } from '../../src/document/documents.ts'
import type { PushOutcome } from '../../src/ports/push.ts'
import { SimulatedPush, type SimulatedPushDevice } from '../../src/simulation/push.ts'
import type { World } from '../../src/simulation/world.ts'
import type { Wishes } from '../../src/storage/devices/preferences.ts'
import {
  deviceAttach,
  deviceChange,
  deviceList,
  deviceRegister,
  deviceRemove,
  deviceSubscribePush,
  deviceVapidKey,
} from '../../src/storage/methods/devices.ts'
import { mailboxFlag, messageDeposit } from '../../src/storage/methods/objects.ts'
import { mailboxGrantMethod, userChange, userRemove } from '../../src/storage/methods/users.ts'
import { a, alice, b, message, newId, StorageWorld } from './storage-world.ts'

const home = 'a.example/1'
const second = 'a.example/2'

async function withPush(servers: Readonly<Record<string, number>> = { 'a.example': 2 }, seed = 1) {
  let push: SimulatedPush | undefined
  const world = await StorageWorld.start(servers, {}, seed, (simulated: World) => {
    const { clock, random } = simulated.host('push.example').boot()
    push = new SimulatedPush({ clock, random, crypto: nodeCrypto(), delayMs: 30 })
    return push
  })
  await world.registerAlice()
  return { world, push: push as unknown as SimulatedPush }
}

interface Attached {
  readonly heard: unknown[]
  end(): void
}

const register = (world: StorageWorld, device: string, wishes: Wishes = {}, identity = 'alice') =>
  world.call(identity, home, deviceRegister, { commandId: newId(), ...alice, device, name: device, ...wishes })

/** A device on a connection of its own. */
async function attach(world: StorageWorld, device: string, server = home, identity = 'alice'): Promise<Attached> {
  const client = world.client(identity, server, device)
  const heard: unknown[] = []
  const session = await world.inside(() => client.session())
  const stop = session.listen({
    notification(method, params) {
      if (method === 'mailbox.changed') heard.push(params)
    },
  })
  await world.inside(() => client.insist(deviceAttach, { ...alice, device }))
  return {
    heard,
    end() {
      stop()
      session.close()
    },
  }
}

async function subscribe(world: StorageWorld, push: SimulatedPush, device: string): Promise<SimulatedPushDevice> {
  const { key } = await world.call('alice', home, deviceVapidKey, { commandId: newId(), ...alice })
  const pushed = push.subscribe(new Uint8Array(Buffer.from(key, 'base64url')))
  const { endpoint, p256dh, auth } = pushed.subscription
  const subscription = {
    endpoint,
    p256dh: toBase64url(p256dh),
    auth: toBase64url(auth),
    applicationServerKey: key,
  }
  const params = { commandId: newId(), ...alice, device, subscription }
  const shown = await world.call('alice', home, deviceSubscribePush, params)
  assert.is(shown.pushes, true)
  return pushed
}

const texts = ({ received }: SimulatedPushDevice): Json[] =>
  received.map(({ payload }) => JSON.parse(new TextDecoder().decode(payload)))
const changed = { operator: a, user: 'alice' }
const isTold = (world: StorageWorld, { heard }: Attached, count: number) =>
  world.until(() => heard.length >= count, `${count} notifications`)
const isPushed = (world: StorageWorld, { received }: SimulatedPushDevice, count: number) =>
  world.until(() => received.length >= count, `${count} pushed`)

const test = suite('notifications')

test('devices on connections at two servers hear of a change, with nothing of what it is; the one that made it does not', async () => {
  const { world } = await withPush()
  for (const device of ['phone', 'laptop', 'tablet']) await register(world, device)
  await world.converged()
  const [phone, laptop] = [await attach(world, 'phone'), await attach(world, 'laptop')]
  const tablet = await attach(world, 'tablet', second)
  const stored = await world.deposit('hello')
  for (const each of [phone, laptop, tablet]) {
    await isTold(world, each, 1)
    assert.equal(each.heard, [changed])
  }
  for (const device of ['phone', 'laptop', 'tablet']) {
    const server = device === 'tablet' ? second : home
    await world.sync({ device }, server)
  }
  const name = { container: stored.container, part: stored.part, id: stored.id }
  const changes = [{ ...name, add: ['\\Seen' as const] }]
  await world.call('alice', home, mailboxFlag, { commandId: newId(), ...alice, device: 'tablet', changes })
  await isTold(world, phone, 2)
  await world.converged()
  await world.pass(20_000)
  assert.equal(
    [phone, laptop, tablet].map(({ heard }) => heard.length),
    [2, 2, 1],
  )
  phone.end()
  await world.deposit('again')
  await isTold(world, laptop, 3)
  assert.is(phone.heard.length, 2)
})

test('a burst is one notification, or two; a device that has synchronised hears at once of the next change', async () => {
  const { world } = await withPush({ 'a.example': 1 })
  await register(world, 'phone')
  const phone = await attach(world, 'phone')
  await world.inside(async () => {
    const client = world.client('function', home)
    for (let at = 0; at < 1_000; at += 50) {
      await Promise.all(
        Array.from({ length: 50 }, () =>
          client.insist(messageDeposit, { commandId: newId(), ...alice, object: message('burst') }),
        ),
      )
    }
  })
  await world.pass(30_000)
  assert.ok(phone.heard.length >= 1 && phone.heard.length <= 2, `${phone.heard.length} notifications`)
  await world.sync({ device: 'phone', limit: 2_000, content: 'links' })
  const before = world.nowMs
  await world.deposit('one more')
  await isTold(world, phone, phone.heard.length + 1)
  assert.ok(world.nowMs - before < 1_000, 'at once')
})

test('who is not attached is told by Web Push; who is attached at another server is told there', async () => {
  const { world, push } = await withPush()
  await register(world, 'phone', { notify: 'push' })
  const pushed = await subscribe(world, push, 'phone')
  await world.converged()
  await world.deposit('one')
  await isPushed(world, pushed, 1)
  assert.equal(texts(pushed), [{ method: 'mailbox.changed', params: changed }])
  assert.equal(pushed.received[0]?.payload.length, 512)
  await world.pass(60_000)
  assert.is(pushed.received.length, 1)

  const phone = await attach(world, 'phone', second)
  await world.sync({ device: 'phone' }, second)
  await world.pass(10_000)
  await world.deposit('two')
  await isTold(world, phone, 1)
  await world.pass(60_000)
  assert.is(pushed.received.length, 1, 'not pushed besides')
  phone.end()
  await world.pass(1_000)
  await world.deposit('three', {}, second)
  await isPushed(world, pushed, 2)
})

test('scope, rights and preferences decide who is told', async () => {
  const { world, push } = await withPush({ 'a.example': 1 })
  await register(world, 'phone', { notify: 'push', scope: { types: ['file-transfer'] } })
  await register(world, 'laptop', { scope: { from: ['tel:+4930654321'] } })
  await register(world, 'silent', { notify: 'none' })
  const pushed = await subscribe(world, push, 'phone')
  const [laptop, silent] = [await attach(world, 'laptop'), await attach(world, 'silent')]
  await world.deposit('not for the phone')
  await isTold(world, laptop, 1)
  await world.pass(10_000)
  assert.equal([pushed.received.length, silent.heard.length], [0, 0])
  await world.call('alice', home, deviceChange, {
    commandId: newId(),
    ...alice,
    device: 'phone',
    scope: { types: ['message'] },
  })
  await world.deposit('now for the phone')
  await isPushed(world, pushed, 1)

  await world.call('provisioner', home, userChange, {
    commandId: newId(),
    user: 'alice',
    setSubscribers: [{ operator: a, identity: 'alice', rights: ['deposit'] }],
  })
  const heard = laptop.heard.length
  await world.pass(60_000)
  await world.deposit('for nobody')
  await world.pass(60_000)
  assert.equal([pushed.received.length, laptop.heard.length], [1, heard])
})

test('what a device has done itself is no reason to push to it', async () => {
  const { world, push } = await withPush({ 'a.example': 1 })
  await register(world, 'phone', { notify: 'push' })
  const stored = await world.deposit('before')
  const pushed = await subscribe(world, push, 'phone')
  const name = { container: stored.container, part: stored.part, id: stored.id }
  const changes = [{ ...name, add: ['\\Seen' as const] }]
  await world.call('alice', home, mailboxFlag, { commandId: newId(), ...alice, device: 'phone', changes })
  await world.pass(60_000)
  assert.is(pushed.received.length, 0)
})

test('busy push services are tried again, dead endpoints forgotten', async () => {
  const { world, push } = await withPush({ 'a.example': 1 })
  await register(world, 'phone', { notify: 'push' })
  const pushed = await subscribe(world, push, 'phone')
  const answers = (answer: PushOutcome) => {
    pushed.answer = answer
  }
  answers({ kind: 'retry', reason: 'busy', afterMs: 20_000 })
  const began = world.nowMs
  await world.deposit('one')
  await world.pass(5_000)
  answers({ kind: 'delivered' })
  await isPushed(world, pushed, 1)
  assert.ok(world.nowMs - began >= 20_000, 'no sooner than the push service wants')

  await world.sync({ device: 'phone' })
  answers({ kind: 'gone' })
  await world.deposit('two')
  await world.until(async () => {
    const { devices } = await world.client('alice', home).insist(deviceList, alice)
    return devices[0]?.pushes === false
  }, 'the subscription is forgotten')
  answers({ kind: 'delivered' })
  await world.deposit('three')
  await world.pass(60_000)
  assert.is(pushed.received.length, 1)
})

test('what was not told when the server died is told once when it is back', async () => {
  const { world, push } = await withPush({ 'a.example': 1 })
  await register(world, 'phone', { notify: 'push' })
  await register(world, 'tablet', { notify: 'push' })
  const [phone, tablet] = [await subscribe(world, push, 'phone'), await subscribe(world, push, 'tablet')]
  phone.answer = { kind: 'retry', reason: 'busy', afterMs: 600_000 }
  await world.deposit('one')
  await isPushed(world, tablet, 1)
  await world.pass(1_000)
  world.crash(home)
  phone.answer = { kind: 'delivered' }
  await world.pass(2_000)
  await isPushed(world, phone, 1)
  await world.pass(60_000)
  assert.equal([phone.received.length, tablet.received.length], [1, 1])
})

test('preferences are in force at every server, and bounded by each operator’s policy', async () => {
  const { world } = await withPush({ 'a.example': 2, 'b.example': 1 })
  const shown = await register(world, 'phone', { periodMs: 1, maxMediaBytes: 2 ** 40, content: 'list' })
  assert.equal(
    { ...shown.inForce },
    {
      scope: {},
      content: 'list',
      periodMs: 60_000,
      maxMediaBytes: 2 ** 30,
      onMetered: 'list',
      notify: 'websocket',
      quietMs: 0,
    },
  )
  assert.equal(shown.wishes, { periodMs: 1, maxMediaBytes: 2 ** 40, content: 'list' })
  await world.converged()
  await world.call('alice', second, deviceChange, { commandId: newId(), ...alice, device: 'phone', quietMs: 5_000 })
  await world.converged()
  const { devices } = await world.call('alice', home, deviceList, alice)
  assert.equal(
    devices.map(({ device, inForce }) => [device, inForce.quietMs, inForce.content]),
    [['phone', 5_000, 'list']],
  )
  const late = { commandId: newId(), ...alice, device: 'phone', name: 'old', time: world.nowMs - 3_600_000 }
  assert.is((await world.call('alice', home, deviceChange, late)).name, 'phone', 'an older change is older')

  assert.match(
    await world.refusal('mallory', home, deviceRegister, { commandId: newId(), ...alice, device: 'x', name: 'x' }),
    /^403/,
  )
})

test('a device that is attached at another operator’s server, which holds the mailbox, is told there', async () => {
  const { world } = await withPush({ 'a.example': 1, 'b.example': 1 })
  const roaming = { operator: b, identity: 'alice.roaming', rights: ['read' as const, 'write' as const] }
  await world.call('provisioner', home, userChange, { commandId: newId(), user: 'alice', setSubscribers: [roaming] })
  await world.call('alice', home, mailboxGrantMethod, {
    commandId: newId(),
    ...alice,
    grantee: b,
    fingerprint: world.federation.operators.find(({ id }) => id === b)?.fingerprint ?? '',
    lifetimeMs: 3_600_000,
  })
  await world.converged()
  const abroad = 'b.example/1'
  const params = { commandId: newId(), time: world.nowMs, ...alice, device: 'phone', name: 'phone' }
  await world.call('alice.roaming', abroad, deviceRegister, params)
  await world.converged()
  const phone = await attach(world, 'phone', abroad, 'alice.roaming')
  await world.deposit('one')
  await isTold(world, phone, 1)
  assert.equal(phone.heard, [changed])
})

test('devices of another subscriber are neither taken, attached as, nor given an endpoint', async () => {
  const { world, push } = await withPush({ 'a.example': 1 })
  const setSubscribers = [
    { operator: a, identity: 'reader', rights: ['read' as const] },
    { operator: a, identity: 'writer', rights: ['read' as const, 'write' as const] },
  ]
  await world.call('provisioner', home, userChange, { commandId: newId(), user: 'alice', setSubscribers })
  await register(world, 'phone', { notify: 'push' })
  await subscribe(world, push, 'phone')
  const command = () => ({ commandId: newId(), ...alice, device: 'phone' })
  for (const identity of ['reader', 'writer']) {
    assert.is(await world.refusal(identity, home, deviceRegister, { ...command(), name: 'mine' }), '409 DEVICE_TAKEN')
    assert.is(await world.refusal(identity, home, deviceAttach, { ...alice, device: 'phone' }), '404 DEVICE_UNKNOWN')
    assert.is(await world.refusal(identity, home, deviceSubscribePush, command()), '404 DEVICE_UNKNOWN')
  }
  assert.is(await world.refusal('reader', home, deviceRemove, command()), '404 DEVICE_UNKNOWN')
  assert.equal((await world.call('reader', home, deviceList, alice)).devices, [])
  assert.is((await world.call('writer', home, deviceList, alice)).devices.length, 1)
  await world.call('writer', home, deviceRemove, command())
  assert.equal((await world.call('alice', home, deviceList, alice)).devices, [])
})

test('endpoints stand nowhere in the clear, and go with their device, and with their user', async () => {
  const { world, push } = await withPush({ 'a.example': 2 })
  await register(world, 'phone', { notify: 'push' })
  await register(world, 'tablet', { notify: 'push' })
  const pushed = [await subscribe(world, push, 'phone'), await subscribe(world, push, 'tablet')]
  await world.deposit('one')
  for (const device of pushed) await isPushed(world, device, 1)
  await world.converged()
  const registers = async (server: string) => {
    const document = 'devices/a.example/alice' as never
    const content = await world.server(server).node?.documents.read(document)
    return [...(content?.entries() ?? [])].filter(([, { value }]) => value !== null)
  }
  const kept = JSON.stringify(await world.inside(() => registers(second)))
  assert.match(kept, /push\/phone/)
  for (const { subscription } of pushed)
    for (const secret of [subscription.endpoint, toBase64url(subscription.auth), toBase64url(subscription.p256dh)])
      assert.not(kept.includes(secret))
  await world.call('alice', home, deviceRemove, { commandId: newId(), ...alice, device: 'phone' })
  assert.not(JSON.stringify(await world.inside(() => registers(home))).includes('phone'))
  await world.call('provisioner', home, userRemove, { commandId: newId(), user: 'alice' })
  assert.equal(await world.inside(() => registers(home)), [])
})

test.run()
