/*
 * Proves, on real websockets and a real push endpoint that checks and opens what it gets: devices hear of changes, and soon; what
 * was pushed says that a mailbox has changed and nothing else; the endpoint and its keys are in no log.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { webPushSender } from '../../src/adapters/web-push.ts'
import type { Session } from '../../src/client/session.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import { operatorId } from '../../src/ports/names.ts'
import { deviceAttach, deviceRegister, deviceSubscribePush, deviceVapidKey } from '../../src/storage/methods/devices.ts'
import { messageDeposit } from '../../src/storage/methods/objects.ts'
import { mailboxSync } from '../../src/storage/methods/sync.ts'
import { userRegister } from '../../src/storage/methods/users.ts'
import { type PushDevice, pushService } from '../adapters/push-service.ts'
import { until } from '../fixtures/until.ts'
import { message, newId } from '../storage/storage-world.ts'
import { clientWorldOn, keyOf } from './world.ts'

const a = operatorId('a.example')
const alice = { operator: a, user: 'alice' }

async function stage() {
  const service = await pushService()
  const push = webPushSender({ contact: 'mailto:postmaster@a.example', loopback: true })
  const keys = {
    find: async (identity: string) => ({
      identity,
      credential: { kind: 'psk' as const, key: keyOf(a, identity) },
      rights: ['provision' as const, 'deposit' as const],
    }),
  }
  const world = await clientWorldOn(() => ({ push, keys }), a)
  const [node] = world.nodes
  if (!node) throw new Error('The world has a node.')
  world.ends.unshift(
    () => service.stop(),
    () => push.close(),
  )
  const provisioner = await node.session('provisioner')
  await provisioner.call(userRegister, {
    commandId: newId(),
    user: 'alice',
    addresses: ['tel:+4930123456'],
    subscribers: [{ operator: a, identity: 'alice', rights: ['read', 'write', 'deposit'] }],
  })
  return { world, node, service, deposits: provisioner, phone: await node.session('alice') }
}

const deposit = (session: Session, text: string) =>
  session.call(messageDeposit, { commandId: newId(), ...alice, object: message(text) })

async function subscribed(session: Session, device: string, service: Awaited<ReturnType<typeof pushService>>) {
  const { key } = await session.call(deviceVapidKey, { commandId: newId(), ...alice })
  const pushed = service.subscribe(new Uint8Array(Buffer.from(key, 'base64url')))
  const { endpoint, p256dh, auth } = pushed.subscription
  const subscription = { endpoint, p256dh: toBase64url(p256dh), auth: toBase64url(auth), applicationServerKey: key }
  await session.call(deviceSubscribePush, { commandId: newId(), ...alice, device, subscription })
  return pushed
}

const said = ({ received }: PushDevice) => received.map(({ payload }) => JSON.parse(new TextDecoder().decode(payload)))

const test = suite('notifications on real sockets')

test('an attached device hears on its connection, another by Web Push, sealed, and soon', async () => {
  const { world, node, service, deposits, phone } = await stage()
  for (const device of ['phone', 'watch'])
    await phone.call(deviceRegister, { commandId: newId(), ...alice, device, name: device, notify: 'push' })
  const watch = await subscribed(phone, 'watch', service)
  const heard: [string, unknown][] = []
  phone.listen({ notification: (method, params) => void heard.push([method, params]) })
  await phone.call(deviceAttach, { ...alice, device: 'phone' })
  await deposit(deposits, 'a secret text')
  await until(() => heard.length > 0 && watch.received.length > 0, { what: 'both are told' })
  assert.equal(heard, [['mailbox.changed', alice]])
  assert.equal(said(watch), [{ method: 'mailbox.changed', params: alice }])
  const [pushed] = watch.received
  assert.is(pushed?.claims.sub, 'mailto:postmaster@a.example')
  assert.match(pushed?.topic ?? '', /^[A-Za-z0-9_-]{32}$/)

  const { endpoint, auth } = watch.subscription
  const isDelivered = () => node.telemetry.counter('cpns_storage_pushes_total', { outcome: 'delivered' }) === 1
  await until(isDelivered, { what: 'the server knows that it was taken' })
  const told = JSON.stringify(node.telemetry.logs)
  for (const secret of [endpoint, new URL(endpoint).pathname, toBase64url(auth)]) assert.not(told.includes(secret))
  await world.stop()
})

test('an endpoint inside the operator’s network is refused, and asked nothing', async () => {
  const { world, service, phone } = await stage()
  await phone.call(deviceRegister, { commandId: newId(), ...alice, device: 'phone', name: 'phone', notify: 'push' })
  const { key } = await phone.call(deviceVapidKey, { commandId: newId(), ...alice })
  const keys = { p256dh: toBase64url(new Uint8Array(65)), auth: toBase64url(new Uint8Array(16)) }
  for (const endpoint of ['https://10.0.0.1/x', 'http://169.254.169.254/latest', 'https://[fd00::1]/', 'gopher://x']) {
    const subscription = { endpoint, ...keys, applicationServerKey: key }
    const params = { commandId: newId(), ...alice, device: 'phone', subscription }
    const refusal = await phone.call(deviceSubscribePush, params).then(
      () => 'taken',
      (error: { readonly status?: number; readonly reason?: string }) => `${error.status} ${error.reason}`,
    )
    assert.is(refusal, '400 ENDPOINT_REFUSED', endpoint)
  }
  assert.equal(service.asked, [])
  await world.stop()
})

test('a device that synchronises each time is told of each change within a moment', async () => {
  const { world, deposits, phone } = await stage()
  await phone.call(deviceRegister, { commandId: newId(), ...alice, device: 'phone', name: 'phone' })
  let heard = 0
  phone.listen({ notification: () => void heard++ })
  await phone.call(deviceAttach, { ...alice, device: 'phone' })
  let token: string | undefined
  for (let round = 1; round <= 20; round++) {
    await deposit(deposits, `text ${round}`)
    await until(() => heard >= round, { what: `notification ${round}` })
    const page = await phone.call(mailboxSync, { ...alice, device: 'phone', ...(token && { token }) })
    assert.is(page.created.length, 1)
    token = page.token
  }
  assert.is(heard, 20)
  await world.stop()
})

test.run()
