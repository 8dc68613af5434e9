/*
 * Property: of what is forwarded to a server that has asked for less, that share is kept back for as long as it has said and not a
 * moment longer, whatever numbers a hostile one sends; the refusal says when to come again; servers that have asked for
 * nothing are asked instead. Fails when a peer can make others silent for good, or is sent what it cannot take.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { CommandAnswer } from '../../src/federation/federation.ts'
import { longestReductionMs, Reductions } from '../../src/federation/reductions.ts'
import { decodeSync, encodeSync } from '../../src/federation/wire-sync.ts'
import type { ServerId } from '../../src/ports/names.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { testOperator } from '../fixtures/operators.ts'
import { Bench } from './bench.ts'

const a = testOperator('a.example', 2)
const b = testOperator('b.example', 2)
const command = { method: 'pn.update', params: {} }

const test = suite('reductions')

test('the share that was asked for is kept back until its time is over', () => {
  const numbers = {
    percent: fc.nat(0xffff_ffff),
    validMs: fc.nat(0xffff_ffff),
    fraction: fc.double({ min: 0, max: 0.999 }),
  }
  fc.assert(
    fc.property(fc.record(numbers), fc.nat(200_000), ({ percent, validMs, fraction }, laterMs) => {
      let nowMs = 0
      const reductions = new Reductions({ elapsed: () => nowMs }, { fraction: () => fraction })
      const server = 'server' as ServerId
      assert.is(reductions.keptBackMs(server), 0)
      reductions.heard(server, { percent, validMs })
      nowMs = laterMs
      const leftMs = Math.min(validMs, longestReductionMs) - laterMs
      assert.is(reductions.keptBackMs(server), leftMs > 0 && fraction * 100 < Math.min(percent, 100) ? leftMs : 0)
      reductions.heard(server, undefined)
      assert.is(reductions.keptBackMs(server), 0)
    }),
  )
})

test('numbers beyond their bounds are read as these', () => {
  const reduction = { percent: 4_000, validMs: 4_000_000_000 }
  const read = decodeSync(encodeSync({ type: 'beat', clock: 5, usedPercent: 0, reduction }))
  assert.equal(read, {
    type: 'beat',
    clock: 5,
    usedPercent: 0,
    reduction: { percent: 100, validMs: longestReductionMs },
  })
})

test('a server that has asked for nothing to come gets nothing, until it says otherwise; another of its operator does', async () => {
  const bench = new Bench([a, b], {})
  try {
    const [a1, b1] = await bench.start([a, 0], [b, 0])
    const asked: string[] = []
    const handled = (name: string) => async (): Promise<CommandAnswer> => {
      asked.push(name)
      return { ok: true, value: name }
    }
    b1.federation.handle('pn.update', handled('b1'))
    b1.federation.reduce({ percent: 100, validMs: 5_000 })
    await settle()
    const refused = await a1.federation.request(b.id, command)
    assert.ok(!refused.ok)
    assert.equal([refused.status, refused.cause], [503, 'OVERLOADED'])
    assert.ok((refused.retryAfterMs ?? 0) > 0 && (refused.retryAfterMs ?? 0) <= 5_000)
    assert.equal(asked, [])
    assert.is(a1.telemetry.counter('cpns_requests_kept_back_total', { operator: b.id }), 1)

    b1.federation.reduce(undefined)
    await settle()
    assert.ok((await a1.federation.request(b.id, command)).ok)

    b1.federation.reduce({ percent: 100, validMs: 5_000 })
    const [b2] = await bench.start([b, 1])
    b2.federation.handle('pn.update', handled('b2'))
    await settle()
    assert.equal(await a1.federation.request(b.id, command), { ok: true, value: 'b2' })
  } finally {
    await bench.world.stopAll()
  }
})

test('servers of the own operator are asked for nothing: they have nobody else', async () => {
  const bench = new Bench([a], {})
  try {
    const [a1, a2] = await bench.start([a, 0], [a, 1])
    a2.federation.handle('pn.update', async () => ({ ok: true, value: 'done' }))
    a2.federation.reduce({ percent: 100, validMs: 5_000 })
    await settle()
    assert.equal(await a1.federation.requestAt(a2.id, command), { ok: true, value: 'done' })
  } finally {
    await bench.world.stopAll()
  }
})

test.run()
