/*
 * Proves, over random histories of servers that merge whatever they have of each other whenever it comes: a message that was
 * acknowledged, withdrawn or replaced at one of them waits at none that has heard of it, also when it was sent again elsewhere
 * later; what waits is in the order in which any one of them took it, of one topic once, and none of it has ended; no bound is passed
 * by what one of them takes; tidying changes nothing that can be seen; and registers of any other shape are as if they were not there.
 * fast-check prints the seed of what fails.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { acknowledging, closing, opening, taking, tidying, withdrawing } from '../../src/channels/changes.ts'
import { clockMarginMs } from '../../src/channels/limits.ts'
import { standingOf, stateOf, waitingIn } from '../../src/channels/queue.ts'
import type { Mutation, Register, Registers } from '../../src/document/documents.ts'
import { stamped } from '../../src/document/draft.ts'
import { isLater } from '../../src/document/registers-view.ts'
import { CommandRefused } from '../../src/federation/command.ts'
import { serverId } from '../../src/ports/names.ts'
import { testOperator } from '../fixtures/operators.ts'

const test = suite('what waits in a channel')
const servers = testOperator('a.example', 3).servers.map(({ id }) => serverId(id))
const channel = 'A'.repeat(22)
const idOf = (number: number): string => String(number).padStart(22, 'm')
const limits = { maxQueued: 5, maxQueuedBytes: 2_000, maxSettled: 6, maxChannels: 2 }
const place = { channel, application: 'weather.example', instance: 'main', identity: 'alice' }

const unforeseen = (): never => {
  throw new Error('What is written in a channel is said without foresight.')
}

/** The document at one server. */
class Replica {
  readonly server: (typeof servers)[number]
  readonly content = new Map<string, Register>()

  constructor(server: (typeof servers)[number]) {
    this.server = server
  }

  get registers(): Registers {
    const { content } = this
    return {
      get: key => content.get(key),
      *entries(prefix = '') {
        for (const key of [...content.keys()].filter(key => key.startsWith(prefix)).sort())
          yield [key, content.get(key) as Register] as const
      },
    }
  }

  /** `undefined` when it was refused. */
  write<T>(mutation: Mutation<T>, now: number): T | undefined {
    try {
      const { writes, answer } = mutation(this.registers, now, unforeseen)
      for (const write of writes) {
        const register = stamped(write, this.content.get(write.key), now, this.server)
        if (register) this.content.set(write.key, register)
      }
      return answer
    } catch (error) {
      if (error instanceof CommandRefused) return undefined
      throw error
    }
  }

  hear(other: Replica): void {
    for (const [key, register] of other.content) {
      const known = this.content.get(key)
      if (!known || isLater(register, known)) this.content.set(key, register)
    }
  }
}

type Step = { readonly at: number; readonly passMs: number } & (
  | { readonly kind: 'take'; readonly message: number; readonly topic: string | undefined; readonly ttlMs: number }
  | { readonly kind: 'settle'; readonly how: 'acknowledge' | 'withdraw'; readonly which: number }
  | { readonly kind: 'hear'; readonly from: number }
  | { readonly kind: 'tidy' }
)

const step: fc.Arbitrary<Step> = fc
  .tuple(
    fc.record({ at: fc.nat(2), passMs: fc.oneof(fc.nat(5), fc.nat(2_000)) }),
    fc.oneof(
      fc.record({
        kind: fc.constant('take' as const),
        message: fc.nat(9),
        topic: fc.option(fc.constantFrom('t', 'u'), { nil: undefined }),
        ttlMs: fc.constantFrom(1_000, 10_000, 1_000_000),
      }),
      fc.record({
        kind: fc.constant('settle' as const),
        how: fc.constantFrom('acknowledge' as const, 'withdraw' as const),
        which: fc.nat(9),
      }),
      fc.record({ kind: fc.constant('hear' as const), from: fc.nat(2) }),
      fc.record({ kind: fc.constant('tidy' as const) }),
    ),
  )
  .map(([common, step]) => ({ ...common, ...step }))

const incoming = (message: number, topic: string | undefined, ttlMs: number) => ({
  ttlMs,
  generation: 1,
  urgency: 'normal' as const,
  type: 'text/plain',
  text: `m${message}`,
  bytes: 4,
  print: `p${message}`,
  ...(topic !== undefined && { topic }),
})

const replicas = (): Replica[] => {
  const made = servers.map(server => new Replica(server))
  for (const replica of made) replica.write(opening(place, undefined, limits), 1)
  return made
}

const there = ({ registers }: Replica, prefix: string) =>
  [...registers.entries(prefix)].filter(([, { value }]) => value !== null)

const idsIn = (replica: Replica, now: number): string[] =>
  waitingIn(replica.registers, channel, now).map(({ id }) => id)

test('holds what is said above', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const all = replicas()
      let now = 1_000
      for (const each of steps) {
        now += each.passMs
        const replica = all[each.at] as Replica
        const before = idsIn(replica, now)
        switch (each.kind) {
          case 'take': {
            const { message, topic, ttlMs } = each
            const isNew = !before.includes(idOf(message))
            const taken = replica.write(taking(channel, idOf(message), incoming(message, topic, ttlMs), limits), now)
            const after = idsIn(replica, now)
            if (taken?.state === 'waiting' && isNew) assert.is(after.at(-1), idOf(message), 'it is the last')
            // What others took may be more; what is taken here stays within.
            assert.ok(after.length <= Math.max(limits.maxQueued, before.length))
            break
          }
          case 'settle': {
            const id = before[each.which]
            if (id === undefined) break
            if (each.how === 'acknowledge') replica.write(acknowledging(channel, [id], limits), now)
            else replica.write(withdrawing(channel, id, 1, limits), now)
            assert.not(idsIn(replica, now).includes(id))
            assert.ok(there(replica, 'settled/').length <= limits.maxSettled)
            break
          }
          case 'hear':
            replica.hear(all[each.from] as Replica)
            break
          case 'tidy': {
            const future = [now, now + 5_000, now + 100_000]
            const seen = () => future.map(time => idsIn(replica, time))
            const shown = seen()
            while (replica.write(tidying(replica.server), now));
            assert.equal(seen(), shown, 'nothing shows')
          }
        }
        const waiting = waitingIn(replica.registers, channel, now)
        const topics = waiting.flatMap(({ topic }) => topic ?? [])
        assert.is(new Set(topics).size, topics.length)
        assert.ok(waiting.every(({ expires }) => expires > now))
        assert.ok(waiting.every(({ at }, index) => index === 0 || at >= (waiting[index - 1]?.at ?? 0)))
      }
      for (const one of all) for (const other of all) one.hear(other)
      for (const one of all) for (const other of all) one.hear(other)
      const [first, ...others] = all.map(replica => idsIn(replica, now))
      for (const other of others) assert.equal(other, first, 'all come to the same')
    }),
    { numRuns: 300 },
  )
})

test('what was settled anywhere waits nowhere that has heard of it, also sent again later', () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.boolean(), fc.boolean(), (laterMs, isWithdrawn, hearsFirst) => {
      const [one, other] = replicas() as [Replica, Replica]
      const id = idOf(1)
      const message = incoming(1, undefined, 1_000_000)
      one.write(taking(channel, id, message, limits), 1_000)
      if (hearsFirst) other.hear(one)
      if (isWithdrawn) one.write(withdrawing(channel, id, 1, limits), 2_000)
      else one.write(acknowledging(channel, [id], limits), 2_000)
      other.write(taking(channel, id, message, limits), 2_000 + laterMs)
      assert.equal(idsIn(other, 13_000), [id])
      other.hear(one)
      one.hear(other)
      for (const replica of [one, other]) {
        assert.equal(idsIn(replica, 13_000), [])
        assert.is(stateOf(replica.registers, channel, id, 13_000)?.state, isWithdrawn ? 'withdrawn' : 'acknowledged')
        assert.is(replica.write(taking(channel, id, message, limits), 13_000)?.state === 'waiting', false)
      }
    }),
  )
})

test('what was settled and sent again elsewhere to wait longer does not come back when the first has ended', () => {
  const [one, other] = replicas() as [Replica, Replica]
  one.write(taking(channel, idOf(1), incoming(1, undefined, 1_000), limits), 1_000)
  one.write(acknowledging(channel, [idOf(1)], limits), 1_500)
  other.write(taking(channel, idOf(1), incoming(1, undefined, 10_000_000), limits), 1_800)
  one.hear(other)
  const late = 2_000 + clockMarginMs
  for (let sweep = 0; sweep < 3; sweep++) {
    while (one.write(tidying(one.server), late));
    assert.equal(idsIn(one, late), [])
  }
  other.hear(one)
  assert.equal(idsIn(other, late), [])
})

test('what is remembered is bounded, ends, and leaves nothing but marks', () => {
  const [replica] = replicas() as [Replica]
  let now = 1_000
  for (let number = 0; number < 40; number++, now++) {
    replica.write(taking(channel, idOf(number), incoming(number, undefined, 1_000 + number), limits), now)
    replica.write(acknowledging(channel, [idOf(number)], limits), now)
  }
  assert.is(there(replica, 'settled/').length, limits.maxSettled)
  assert.ok(stateOf(replica.registers, channel, idOf(39), now), 'those that end last are remembered')
  while (replica.write(tidying(replica.server), now + 2_000 + clockMarginMs));
  assert.equal([...there(replica, 'settled/'), ...there(replica, 'message/')], [])
})

test('a channel that was closed begins anew: nothing of before is in it, whoever brings it later', () => {
  const [one, other] = replicas() as [Replica, Replica]
  one.write(closing(channel, one.server), 1_000)
  other.write(taking(channel, idOf(1), incoming(1, undefined, 1_000_000), limits), 2_000)
  assert.is(standingOf(one.registers, channel, 1), 'closed')
  const reopened = one.write(opening(place, undefined, limits), 3_000)
  assert.is(reopened?.generation, 2)
  one.hear(other)
  other.hear(one)
  for (const replica of [one, other]) {
    assert.equal(idsIn(replica, 4_000), [])
    assert.is(standingOf(replica.registers, channel, 1), 'renewed')
    assert.is(standingOf(replica.registers, channel, 2), 'open')
  }
  while (other.write(tidying(other.server), 4_000));
  assert.is(other.content.get(`message/${channel}/${idOf(1)}`)?.value, null, 'and it leaves')
  const renew = opening(place, 2, limits)
  assert.is(one.write(renew, 5_000)?.generation, 3)
  assert.is(one.write(renew, 6_000)?.generation, 3, 'once')
  const [, , third] = replicas() as [Replica, Replica, Replica]
  assert.is(standingOf(third.registers, 'B'.repeat(22), 1), 'unheard')
  third.hear(one)
  assert.is(standingOf(third.registers, 'B'.repeat(22), 1), 'unknown', 'closed, or opened elsewhere')
})

test('registers of any other shape are as if they were not there', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string(), fc.jsonValue({ maxDepth: 3 })), { maxLength: 10 }), garbage => {
      const [replica] = replicas() as [Replica]
      replica.write(taking(channel, idOf(1), incoming(1, undefined, 1_000_000), limits), 1_000)
      const [server] = servers as [(typeof servers)[number]]
      for (const [name, value] of garbage) {
        const register = { stamp: 2_000, server, value: value as Register['value'] }
        for (const key of [
          `message/${channel}/${name}`,
          `settled/${channel}/${name}`,
          `message/${name}`,
          `floor/${name}`,
        ])
          if (typeof value !== 'number') replica.content.set(key, register)
      }
      assert.equal(idsIn(replica, 3_000), [idOf(1)])
      while (replica.write(tidying(replica.server), 3_000));
      assert.is(replica.write(taking(channel, idOf(2), incoming(2, undefined, 1_000), limits), 3_000)?.state, 'waiting')
    }),
  )
})

test.run()
