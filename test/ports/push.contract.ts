import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  maxPushBytes,
  type Push,
  type PushMessage,
  type PushOutcome,
  type PushSubscription,
} from '../../src/ports/push.ts'

/*
 * The contract of Push, run by every adapter. It proves that a message reaches the device it is sealed to, as it was sent, and
 * nobody else; that each way in which a push service can answer comes out as what is to be done about it; and that nothing a
 * client names as its endpoint makes `send` throw. An adapter fails here if it takes an ended subscription for a busy one,
 * or the other way round: servers would send to the dead for ever, or forget the living.
 */

/** What a device was sent, as it reads it. */
export interface Received {
  readonly payload: Uint8Array
  readonly ttlMs: number
  readonly urgency: string
  readonly topic?: string
}

export interface PushPlace {
  readonly push: Push
  /** A device that hears from the sender with this key. */
  subscribe(senderKey: Uint8Array): Promise<{
    readonly subscription: PushSubscription
    readonly received: readonly Received[]
    /** What its push service answers from now on. */
    answer(outcome: Answer): void
  }>
  stop(): Promise<void>
}
export type Answer = 'taken' | 'gone' | 'busy' | 'busy-for-7s' | 'refused'

const secret = new Uint8Array(48).fill(7)
const messageTo = (subscription: PushSubscription, fields: Partial<PushMessage> = {}): PushMessage => ({
  subscription,
  senderSecret: secret,
  payload: new TextEncoder().encode('{"method":"mailbox.changed"}'),
  ttlMs: 60_000,
  urgency: 'normal',
  topic: 'bWFpbGJveA',
  ...fields,
})

export function pushContract(name: string, create: () => Promise<PushPlace>): void {
  const test = suite<{ place: PushPlace }>(`push: ${name}`)
  test.before.each(async context => {
    context.place = await create()
  })
  test.after.each(({ place }) => place.stop())

  test('a sender has one key for each secret', ({ place: { push } }) => {
    assert.is(push.senderKey(secret).length, 65)
    assert.equal(push.senderKey(secret), push.senderKey(secret.slice()))
    assert.not.equal(push.senderKey(secret), push.senderKey(new Uint8Array(48).fill(8)))
  })

  test('a message reaches its device as it was sent, and no other', async ({ place }) => {
    const senderKey = place.push.senderKey(secret)
    const [mine, other] = [await place.subscribe(senderKey), await place.subscribe(senderKey)]
    const message = messageTo(mine.subscription)
    assert.equal(await place.push.send(message), { kind: 'delivered' })
    const { payload, ttlMs, urgency, topic } = message
    assert.equal(
      mine.received.map(({ payload, ttlMs, urgency, topic }) => ({ payload, ttlMs, urgency, topic })),
      [{ payload, ttlMs, urgency, topic }],
    )
    assert.is(other.received.length, 0)
  })

  test('the longest message arrives, a longer one is the caller’s mistake', async ({ place }) => {
    const { subscription, received } = await place.subscribe(place.push.senderKey(secret))
    const longest = messageTo(subscription, { payload: new Uint8Array(maxPushBytes).fill(65) })
    assert.equal(await place.push.send(longest), { kind: 'delivered' })
    assert.is(received[0]?.payload.length, maxPushBytes)
    const longer = messageTo(subscription, { payload: new Uint8Array(maxPushBytes + 1) })
    const end = await Promise.resolve()
      .then(() => place.push.send(longer))
      .then(
        () => 'sent',
        (error: unknown) => error,
      )
    assert.instance(end, RangeError)
  })

  test('what the push service answers says what to do', async ({ place }) => {
    const device = await place.subscribe(place.push.senderKey(secret))
    const answers: readonly [Answer, PushOutcome][] = [
      ['gone', { kind: 'gone' }],
      ['busy', { kind: 'retry', reason: 'busy' }],
      ['busy-for-7s', { kind: 'retry', reason: 'busy', afterMs: 7_000 }],
      ['refused', { kind: 'refused', reason: 'status' }],
      ['taken', { kind: 'delivered' }],
    ]
    for (const [answer, outcome] of answers) {
      device.answer(answer)
      assert.equal(await place.push.send(messageTo(device.subscription)), outcome, answer)
    }
    assert.is(device.received.length, 1)
  })

  test('another sender is refused', async ({ place }) => {
    const { subscription, received } = await place.subscribe(place.push.senderKey(secret))
    const stranger = messageTo(subscription, { senderSecret: new Uint8Array(48).fill(9) })
    assert.equal(await place.push.send(stranger), { kind: 'refused', reason: 'status' })
    assert.is(received.length, 0)
  })

  test('what is no endpoint of a push service is refused, before and when sending', async ({ place }) => {
    const { subscription } = await place.subscribe(place.push.senderKey(secret))
    assert.is(place.push.objection(subscription.endpoint), undefined)
    for (const endpoint of ['', 'push', 'http://push.example/1', 'file:///etc/passwd', 'ws://push.example']) {
      assert.type(place.push.objection(endpoint), 'string', endpoint)
      const outcome = await place.push.send(messageTo({ ...subscription, endpoint }))
      assert.equal(outcome, { kind: 'refused', reason: 'endpoint' }, endpoint)
    }
  })

  test.run()
}
