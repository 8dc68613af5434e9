/*
 * Proves: a challenge is good for its way until it ends, at every server that has the operator's keys, and nobody else
 * can make one. Fails if any byte or any part of the way is not covered by the MAC, or if old keys stop working.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { fromBase64url, toBase64url } from '../../src/commands/framing.ts'
import { createChallenges } from '../../src/inventory/registration/challenges.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { a, b, c, crypto } from './world.ts'

const random = seededRandom('challenges')
const old = { version: 1, key: random.bytes(32) }
const current = { version: 2, key: random.bytes(32) }
const way = { home: a, pnId: 'flat', gatewayId: 'hub', operator: b }
const server = (macKeys = [old, current]) => createChallenges({ macKeys, crypto, random, lifetimeMs: 1_000 })

test('good at every server of the operator until it ends', () => {
  const { challenge, expires } = server().issue(way, 5_000)
  assert.is(expires, 6_000)
  const verdict = server().check(way, challenge, 5_999)
  assert.ok(verdict.ok)
  assert.is(verdict.expires, expires)
  assert.equal(server().check(way, challenge, 6_000), { ok: false, reason: 'expired' })
})

test('what is drawn for it is the same at every server, and another for another use, challenge or operator', () => {
  const [first, second] = [server().issue(way, 5_000), server().issue(way, 5_000)]
  const use = new TextEncoder().encode('use')
  const drawn = (challenge: string, what = use, by = server()) => {
    const verdict = by.check(way, challenge, 5_000)
    return verdict.ok ? toBase64url(verdict.draw(what, 48)) : undefined
  }
  assert.is(drawn(first.challenge), drawn(first.challenge))
  assert.is.not(drawn(first.challenge), drawn(second.challenge))
  assert.is.not(drawn(first.challenge), drawn(first.challenge, use.subarray(1)))
  assert.is(drawn(first.challenge, use, server([{ version: 2, key: random.bytes(32) }])), undefined)
})

test('good while its key is known, and no longer', () => {
  const { challenge } = server([old]).issue(way, 5_000)
  assert.ok(server().check(way, challenge, 5_000).ok)
  assert.not.ok(server([current]).check(way, challenge, 5_000).ok)
  assert.not.ok(server([{ version: 1, key: random.bytes(32) }]).check(way, challenge, 5_000).ok)
})

test('good for one way', () => {
  const { challenge } = server().issue(way, 5_000)
  for (const other of [
    { home: c },
    { pnId: 'flathub' },
    { gatewayId: 'flat' },
    { operator: c },
    { pnId: 'fla', gatewayId: 'thub' },
  ]) {
    assert.equal(server().check({ ...way, ...other }, challenge, 5_000), { ok: false, reason: 'forged' })
  }
})

test('any other bytes are forged', () => {
  const bytes = fromBase64url(server().issue(way, 5_000).challenge) as Uint8Array
  const changed = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, by]) => {
    const copy = bytes.slice()
    copy[at] = (copy[at] ?? 0) ^ by
    return toBase64url(copy)
  })
  fc.assert(
    fc.property(fc.oneof(changed, fc.string(), fc.uint8Array({ maxLength: 64 }).map(toBase64url)), challenge => {
      assert.equal(server().check(way, challenge, 5_000), { ok: false, reason: 'forged' })
    }),
  )
})

test.run()
