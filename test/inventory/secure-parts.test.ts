import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { framed, toBase64url } from '../../src/commands/framing.ts'
import { KeptAnswers } from '../../src/inventory/secure/kept-answers.ts'
import {
  firstPhase,
  nextPhase,
  ofClient,
  ofServer,
  openFrame,
  type Phase,
  sealFrame,
} from '../../src/inventory/secure/keys.ts'
import { emptyWindow, placeOf, windowFrames, withFrame } from '../../src/inventory/secure/window.ts'
import { DecryptionFailed } from '../../src/ports/crypto.ts'
import { a, b, clientCrypto, crypto } from './world.ts'

/*
 * What secure sessions are made of, each part against what it promises: the window against a set of all counters, the
 * kept answers against their bounds, the two halves of the key schedule against each other.
 */
const test = suite('parts of secure sessions')

test('the window knows what a set of all counters knows, as far back as it reaches', () => {
  const jump = fc.oneof(fc.integer({ min: -80, max: 4 }), fc.integer({ min: 60, max: 200 }))
  fc.assert(
    fc.property(fc.array(jump, { maxLength: 200 }), jumps => {
      let window = emptyWindow
      const seen = new Set<number>()
      let highest = -1
      for (const jump of jumps) {
        const counter = Math.max(0, highest + jump)
        const expected = seen.has(counter) ? 'seen' : 'new'
        const isOld = counter <= highest - windowFrames
        assert.is(placeOf(window, counter), isOld ? 'old' : expected)
        if (isOld || expected === 'seen') continue
        window = withFrame(window, counter)
        seen.add(counter)
        highest = Math.max(highest, counter)
      }
    }),
  )
})

test('both halves derive the same keys, each phase and direction its own, each frame its own place', async () => {
  const way = { home: a, pnId: 'flat', gatewayId: 'hub', operator: b }
  const nonce = (name: string) => toBase64url(crypto.sha256(framed(name)))
  const opening = { ...way, transaction: 'one', pneId: 'radio', ticket: 'ticket', clientNonce: nonce('client') }
  const answer = { session: 'here.one', serverNonce: nonce('server') }
  const key = crypto.sha256(framed('session key'))
  const [pne, server] = [ofClient(clientCrypto), ofServer(crypto)]
  const phases = async (half: typeof pne) => {
    const first = await firstPhase(half, key, opening, answer)
    return [first, await nextPhase(half, first)]
  }
  const [ours, theirs] = [await phases(pne), await phases(server)]
  assert.equal(ours, theirs)
  const all = ours.flatMap(({ up, down, notice }) =>
    [up, down, notice].flatMap(({ secret, key, iv }) => [secret, key, iv]),
  )
  assert.is(new Set(all.map(toBase64url)).size, all.length)
  for (const change of [
    { gatewayId: 'box' },
    { pnId: 'shed' },
    { home: b },
    { operator: a },
    { pneId: 'fan' },
    { transaction: 'two' },
    { clientNonce: nonce('x') },
  ]) {
    assert.is.not(
      keyOf(await firstPhase(pne, key, { ...opening, ...change }, answer)),
      keyOf(ours[0]),
      JSON.stringify(change),
    )
  }

  const place = { direction: 'up', session: 'here.one', counter: 2 ** 40 } as const
  const plaintext = framed('said')
  const [first, second] = ours
  assert.ok(first && second)
  const sealed = await sealFrame(pne, first, place, plaintext)
  assert.equal(await openFrame(server, first, place, sealed), plaintext)
  const beside = await sealFrame(pne, first, { ...place, counter: place.counter + 1 }, plaintext)
  assert.is.not(beside.slice(0, 8), sealed.slice(0, 8), 'no two under one nonce')
  const elsewhere = [
    { direction: 'down' },
    { direction: 'notice' },
    { session: 'here.two' },
    { counter: 2 ** 40 + 1 },
  ] as const
  for (const change of elsewhere) {
    const opened = await openFrame(server, first, { ...place, ...change }, sealed).catch(error => error)
    assert.instance(opened, DecryptionFailed, JSON.stringify(change))
  }
  assert.instance(await openFrame(server, second, place, sealed).catch(error => error), DecryptionFailed)
})

const keyOf = (phase: Phase | undefined) => toBase64url(phase?.up.key ?? new Uint8Array(0))

test('answers are kept within so many bytes and frames; the newest always; one that is awaited is never let go', () => {
  const length = fc.nat(40)
  fc.assert(
    fc.property(fc.array(fc.tuple(length, fc.boolean()), { maxLength: 200 }), answers => {
      const kept = new KeptAnswers(100)
      const awaited: number[] = []
      for (const [counter, [length, isAnswered]] of answers.entries()) {
        kept.expect(counter, crypto.sha256(framed(`${counter}`)))
        if (!isAnswered && awaited.length < 8) {
          awaited.push(counter)
          continue
        }
        kept.keep(counter, 'x'.repeat(length))
        assert.is(kept.of(counter)?.sealed?.length, length)
        const held = [...answers.keys()].flatMap(number => kept.of(number)?.sealed ?? [])
        const lengths = held.map(sealed => sealed.length)
        assert.ok(lengths.reduce((sum, one) => sum + one, 0) <= Math.max(100, length))
        assert.ok(lengths.length <= windowFrames)
        for (const number of awaited) assert.ok(kept.of(number), `${number} is awaited`)
      }
    }),
  )
})

test.run()
