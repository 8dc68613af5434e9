/*
 * Property: a server that sheds sends on a few of its clients every second, the idle ones first, never those of the emergency
 * class, none twice, none where nobody has room, and never so many that fewer than half of those of before are left; it stops
 * when its level falls.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { MovableConnection } from '../../src/access/leaving.ts'
import type { LoadLevel } from '../../src/access/load/level.ts'
import { createShedding, defaultSheddingLimits, nextToShed } from '../../src/access/shedding.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'

const test = suite('Shedding')

const client = (id: string, idleMs: number, kind: 'standard' | 'emergency' = 'standard'): MovableConnection => ({
  id,
  outlet: { send() {}, sendShared() {}, close() {}, tick() {}, quietFor() {}, closing: undefined },
  tell() {},
  tellInTurn() {},
  isGone: false,
  admitted() {},
  movable: { class: kind, idleMs: () => idleMs },
})

test('whoever is there: the idlest go first, few at a time, no emergency, and half stay', () => {
  const one = fc.record({
    id: fc.uuid(),
    idleMs: fc.nat(100_000),
    kind: fc.constantFrom('standard' as const, 'emergency' as const),
  })
  const many = fc.uniqueArray(one, { selector: ({ id }) => id, maxLength: 200 })
  fc.assert(
    fc.property(many, fc.double({ min: 0.01, max: 1, noNaN: true }), (all, sharePerSecond) => {
      const limits = { ...defaultSheddingLimits, sharePerSecond, maxPerSecond: 20 }
      const here = all.map(({ id, idleMs, kind }) => client(id, idleMs, kind))
      const floor = Math.ceil(here.length / 2)
      const sent = new Set<string>()
      for (let turn = 0; turn < 10; turn++) {
        const chosen = nextToShed(here, sent, floor, limits)
        assert.ok(chosen.length <= Math.min(20, Math.ceil(here.length * sharePerSecond)))
        const least = Math.min(...chosen.map(({ movable }) => movable.idleMs()))
        const left = here.filter(each => !chosen.includes(each) && !sent.has(each.id))
        for (const { movable } of left) assert.ok(movable.class === 'emergency' || movable.idleMs() <= least)
        for (const { id, movable } of chosen) {
          assert.is(movable.class, 'standard')
          assert.not(sent.has(id))
          sent.add(id)
        }
      }
      assert.ok(here.length - sent.size >= floor)
    }),
  )
})

test('it begins with the level, stops with it, and sends nobody where there is no room', async () => {
  const clock = new ManualClock()
  const here = Array.from({ length: 100 }, (_, at) => client(`client ${at}`, at))
  const sent: string[] = []
  let level: LoadLevel = 'overloaded'
  let room = 5
  let counted = 0
  const shedding = createShedding({
    monitor: {
      get level() {
        return level
      },
    },
    here: () => here,
    send({ id }) {
      if (room === 0) return false
      room -= 1
      sent.push(id)
      return true
    },
    shed: count => {
      counted += count
    },
    clock,
  })
  shedding.start()
  await clock.run(5_000)
  assert.equal(sent, [])
  level = 'shedding'
  await clock.run(10_000)
  assert.equal(sent, ['client 99', 'client 98', 'client 97', 'client 96', 'client 95'])
  room = 1_000
  await clock.run(10_000)
  assert.is(sent.length, 25, 'two in a hundred every second')
  await clock.run(100_000)
  assert.is(sent.length, 50, 'half of them stay')
  assert.is(counted, 50)
  level = 'overloaded'
  await clock.run(10_000)
  assert.is(sent.length, 50)
  shedding.stop()
})

test.run()
