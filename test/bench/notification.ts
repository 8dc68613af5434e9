import { setTimeout as wait } from 'node:timers/promises'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { webPushSender } from '../../src/adapters/web-push.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import { operatorId } from '../../src/ports/names.ts'
import { deviceAttach, deviceRegister, deviceSubscribePush, deviceVapidKey } from '../../src/storage/methods/devices.ts'
import { messageDeposit } from '../../src/storage/methods/objects.ts'
import { mailboxSync } from '../../src/storage/methods/sync.ts'
import { userRegister } from '../../src/storage/methods/users.ts'
import { pushService } from '../adapters/push-service.ts'
import { clientWorldOn, keyOf } from '../client/world.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { message, newId } from '../storage/storage-world.ts'
import type { Bench, Figure } from './bench.ts'

/*
 * How soon a device hears of a change, on loopback: from the moment that whoever made it has its acknowledgement, until one device
 * has the notification on its websocket, and another one at its push service. The conversation is a long one, and both have a
 * scope to be looked at.
 */

const before = 1_900
const rounds = 300
const a = operatorId('a.example')
const alice = { operator: a, user: 'alice' }

export const notificationBench: Bench = {
  name: 'notification',
  summary: `From a change in a conversation of ${before} objects to who is told of it`,

  async run(log) {
    const { path, remove } = await temporaryFolder()
    const service = await pushService()
    const push = webPushSender({ contact: 'mailto:postmaster@a.example', loopback: true })
    const keys = {
      find: async (identity: string) => ({
        identity,
        credential: { kind: 'psk' as const, key: keyOf(a, identity) },
        rights: ['provision' as const, 'deposit' as const],
      }),
    }
    const world = await clientWorldOn(async () => ({ push, keys, store: await openLevelLogStore(path) }), a)
    const [node] = world.nodes
    if (!node) throw new Error('The world has a node.')
    const [function_, phone] = [await node.session('function'), await node.session('alice')]
    await function_.call(userRegister, {
      commandId: newId(),
      user: 'alice',
      addresses: ['tel:+4930123456'],
      subscribers: [{ operator: a, identity: 'alice', rights: ['read', 'write', 'deposit'] }],
    })
    const deposit = () => function_.call(messageDeposit, { commandId: newId(), ...alice, object: message('text') })
    for (let at = 0; at < before; at += 20) {
      await Promise.all(Array.from({ length: 20 }, deposit))
      // One session may send 500 messages a second.
      await wait(50)
    }

    const scope = { types: ['message' as const] }
    for (const device of ['phone', 'watch'])
      await phone.call(deviceRegister, { commandId: newId(), ...alice, device, name: device, notify: 'push', scope })
    const { key } = await phone.call(deviceVapidKey, { commandId: newId(), ...alice })
    const watch = service.subscribe()
    const { endpoint, p256dh, auth } = watch.subscription
    const subscription = { endpoint, p256dh: toBase64url(p256dh), auth: toBase64url(auth), applicationServerKey: key }
    await phone.call(deviceSubscribePush, { commandId: newId(), ...alice, device: 'watch', subscription })
    await phone.call(deviceAttach, { ...alice, device: 'phone' })

    const times: Readonly<Record<'websocket' | 'push', number[]>> = { websocket: [], push: [] }
    const tokens = new Map<string, string | undefined>()
    async function synchronise(device: string): Promise<void> {
      for (let next: object = { token: tokens.get(device) }; ; ) {
        const page = await phone.call(mailboxSync, { ...alice, device, content: 'links', ...next })
        if (page.cursor === undefined) return void tokens.set(device, page.token)
        next = { cursor: page.cursor }
      }
    }
    for (const device of ['phone', 'watch']) await synchronise(device)
    for (let round = 0; round < rounds; round++) {
      const heard = new Promise<number>(resolve => {
        const stop = phone.listen({
          notification() {
            stop()
            resolve(performance.now())
          },
        })
      })
      await deposit()
      const acknowledgedMs = performance.now()
      times.websocket.push(Math.max(0, (await heard) - acknowledgedMs))
      while (watch.received.length <= round) await new Promise(resolve => setTimeout(resolve, 1))
      times.push.push(Math.max(0, (watch.received[round]?.at ?? Number.NaN) - acknowledgedMs))
      for (const device of ['phone', 'watch']) await synchronise(device)
    }
    log(`${rounds} changes, ${watch.received.length} pushed`)
    await world.stop()
    push.close()
    await service.stop()
    await remove()
    return (['websocket', 'push'] as const).flatMap(way => figuresOf(way, times[way]))
  },
}

function figuresOf(way: string, times: readonly number[]): Figure[] {
  const sorted = times.toSorted((one, other) => one - other)
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN
  return [
    { name: `told on its ${way}, median`, value: at(0.5), unit: 'ms' },
    { name: `told on its ${way}, p99`, value: at(0.99), unit: 'ms', atMost: 50 },
  ]
}
