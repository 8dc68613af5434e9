/*
 * Proves the decisions of a client that is always online: its pace nears what the network allows and never leaves its bounds; it
 * tries servers in the order that the policy says; it believes no policy that was forged, changed, of somebody else, or older than
 * the one that it has, and follows the list of servers when all of it changes, over restarts too.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { operatorPolicy } from '../../src/access/policy/rules.ts'
import { policyBytes, type ServedPolicy, type SignedPolicy } from '../../src/access/policy/served-policy.ts'
import { webCrypto } from '../../src/adapters/browser/crypto.ts'
import { mayConnect } from '../../src/client/always-on/always-on.ts'
import { Heartbeats } from '../../src/client/always-on/heartbeats.ts'
import { type Bounds, common, firstPace, nextPace } from '../../src/client/always-on/pace.ts'
import { believe, type KnownPolicy, PolicyRefused, recall, trustedBy } from '../../src/client/always-on/policy-trust.ts'
import { isPreferred, route } from '../../src/client/always-on/route.ts'
import type { Ping } from '../../src/client/session/attachment.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import type { ServerId } from '../../src/ports/names.ts'
import { crypto } from '../access/rig.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { type TestServer, testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'

const test = suite('parts of being always online')

const bounds = fc
  .tuple(fc.integer({ min: 1_000, max: 60_000 }), fc.integer({ min: 0, max: 600_000 }))
  .map(([leastMs, moreMs]): Bounds => ({ leastMs, mostMs: leastMs + moreMs }))

test('a pace stays within its bounds; it does not fall when it has held, nor rise when it was lost', () => {
  fc.assert(
    fc.property(
      bounds,
      fc.array(fc.constantFrom('held' as const, 'lost' as const), { maxLength: 60 }),
      (by, outcomes) => {
        let pace = firstPace(by)
        for (const outcome of outcomes) {
          const next = nextPace(pace, outcome, by)
          assert.ok(next.everyMs >= by.leastMs && next.everyMs <= by.mostMs)
          if (outcome === 'held') assert.ok(next.everyMs >= pace.everyMs)
          else assert.ok(next.everyMs <= pace.everyMs)
          pace = next
        }
      },
    ),
  )
})

test('in a network that forgets after a time, the pace nears that time from below, and seldom exceeds it', () => {
  fc.assert(
    fc.property(bounds, fc.integer({ min: 1_000, max: 900_000 }), (by, forgetsMs) => {
      let pace = firstPace(by)
      let lost = 0
      const beats = 400
      for (let beat = 0; beat < beats; beat++) {
        const holds = pace.everyMs <= forgetsMs
        if (!holds && pace.everyMs > by.leastMs) lost += 1
        pace = nextPace(pace, holds ? 'held' : 'lost', by)
      }
      const best = Math.min(by.mostMs, forgetsMs)
      if (best >= by.leastMs) assert.ok(pace.everyMs >= 0.8 * best || pace.everyMs === by.leastMs)
      assert.ok(lost <= beats / 10, `${lost} of ${beats} beats were lost`)
    }),
  )
})

test('a network that becomes worse is noticed, and one that becomes better is tried again', () => {
  const by = { leastMs: 10_000, mostMs: 300_000 }
  let pace = firstPace(by)
  const live = (forgetsMs: number, beats: number) => {
    for (let beat = 0; beat < beats; beat++) pace = nextPace(pace, pace.everyMs <= forgetsMs ? 'held' : 'lost', by)
  }
  live(1_000_000, 20)
  assert.is(pace.everyMs, 300_000)
  live(60_000, 20)
  assert.ok(pace.everyMs <= 60_000 && pace.everyMs >= 48_000, `${pace.everyMs}`)
  live(1_000_000, 80)
  assert.is(pace.everyMs, 300_000)
})

test('bounds of several policies suit all of them', () => {
  assert.is(common([]), undefined)
  assert.equal(
    common([
      { leastMs: 10, mostMs: 50 },
      { leastMs: 20, mostMs: 40 },
    ]),
    { leastMs: 20, mostMs: 40 },
  )
  assert.equal(
    common([
      { leastMs: 10, mostMs: 15 },
      { leastMs: 20, mostMs: 40 },
    ]),
    { leastMs: 15, mostMs: 15 },
  )
})

test('all connections beat together, once per interval; one that is lost shortens it for all', async () => {
  const clock = new ManualClock()
  const heartbeats = new Heartbeats(clock)
  const beats: string[] = []
  let outcome: Ping = 'held'
  const join = (name: string) =>
    heartbeats.join({
      bounds: { leastMs: 10_000, mostMs: 100_000 },
      async ping() {
        beats.push(`${name} at ${clock.elapsed()}`)
        return name === 'b' ? outcome : 'held'
      },
    })
  assert.is(heartbeats.everyMs, undefined)
  const leave = [join('a'), join('b')]
  await clock.run(10_000)
  await clock.run(0)
  assert.equal(beats, ['a at 10000', 'b at 10000'])
  assert.is(heartbeats.everyMs, 15_000)
  outcome = 'lost'
  await clock.run(15_000)
  await clock.run(0)
  assert.is(heartbeats.everyMs, 10_000)
  heartbeats.lost(9_000)
  heartbeats.lost(9_000)
  assert.is(heartbeats.everyMs, 10_000, 'within bounds')
  for (const end of leave) end()
  const before = beats.length
  await clock.run(100_000)
  assert.is(beats.length, before, 'nobody is left')
  assert.is(clock.pending, 0)
})

const names = ['s1', 's2', 's3', 's4', 's5'] as ServerId[]
const listed = fc.uniqueArray(
  fc.record({
    server: fc.constantFrom(...names),
    urls: fc.constant<string[]>(['wss://x.example']),
    weight: fc.integer({ min: 1, max: 10 }),
    order: fc.integer({ min: 1, max: 3 }),
  }),
  { selector: ({ server }) => server, minLength: 1 },
)

test('a round tries every server once, by order where that is wanted, the lost one last among its equals', () => {
  fc.assert(
    fc.property(
      listed,
      fc.constantFrom('ordered' as const, 'weighted' as const),
      fc.option(fc.constantFrom(...names), { nil: undefined }),
      fc.integer(),
      (servers, allocation, lost, seed) => {
        const random = seededRandom(`route ${seed}`)
        const round = route({ servers, allocation }, lost, () => random.fraction())
        assert.equal(new Set(round), new Set(servers))
        assert.is(round.length, servers.length)
        const orderOf = ({ order }: { order: number }) => (allocation === 'ordered' ? order : 0)
        for (const [index, each] of round.entries()) {
          const next = round[index + 1]
          if (!next) continue
          assert.ok(orderOf(each) <= orderOf(next))
          if (orderOf(each) === orderOf(next)) assert.is.not(each.server, lost)
        }
        const first = round[0]
        if (first && first.server !== lost) assert.ok(isPreferred({ servers, allocation }, first.server))
      },
    ),
  )
})

test('weights are chances', () => {
  const random = seededRandom('weights')
  const servers = names
    .slice(0, 2)
    .map((server, index) => ({ server, urls: ['wss://x'], weight: index ? 3 : 1, order: 1 }))
  const first = Array.from(
    { length: 4_000 },
    () => route({ servers, allocation: 'ordered' }, undefined, () => random.fraction())[0],
  )
  const share = first.filter(each => each?.server === 's2').length / first.length
  assert.ok(Math.abs(share - 0.75) < 0.03, `${share}`)
})

test('several operators at once only where all of them allow it', () => {
  const may = (...several: boolean[]) => mayConnect(several.map(each => ({ several: each })))
  assert.equal(may(true, true, true), [true, true, true])
  assert.equal(may(false, true), [true, false])
  assert.equal(may(true, false, true), [true, false, true], 'the second is held back, and holds nobody back')
  assert.equal(may(), [])
})

const operator = testOperator('a.example', 3)
const [s1, s2, s3] = operator.servers as [TestServer, TestServer, TestServer]
const stranger = testOperator('c.example').servers[0] as TestServer
const anchor = { operator: operator.id, servers: [s1.id] }
const clientCrypto = webCrypto()

function policyOf(stamp: number, servers: readonly TestServer[], more: Partial<ServedPolicy> = {}): ServedPolicy {
  const { servers: _servers, partners: _partners, ...conduct } = operatorPolicy.parse({}).standard
  return {
    operator: operator.id,
    class: 'standard',
    version: { stamp, origin: s1.id, manifests: 1 },
    ...conduct,
    servers: servers.map(({ id }) => ({ server: id, urls: ['wss://x.example'], weight: 1, order: 1 })),
    partners: [],
    ...more,
  }
}

function signedBy({ id, identity }: TestServer, policy: unknown): SignedPolicy {
  const text = JSON.stringify(policy)
  return { text, signer: id, signature: toBase64url(identity.sign('cpns-policy-v1', crypto.sha256(policyBytes(text)))) }
}

async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof PolicyRefused) return error.reason
    throw error
  }
  return 'believed'
}

const offered = (signed: SignedPolicy, known?: KnownPolicy) => believe(signed, known, anchor, clientCrypto)

test('a policy is believed from the operator’s servers, as it was signed', async () => {
  const signed = signedBy(s1, policyOf(5, [s1, s2]))
  assert.is((await offered(signed))?.policy.version.stamp, 5)
  const changed = { ...signed, text: signed.text.replace('"hops":3', '"hops":8') }
  assert.is.not(changed.text, signed.text)
  assert.is(await reasonOf(offered(changed)), 'signature')
  assert.is(await reasonOf(offered({ ...signed, signer: s2.id })), 'signer')
  assert.is(await reasonOf(offered(signedBy(stranger, policyOf(5, [stranger])))), 'signer')
  const elsewhere = policyOf(5, [s1], { operator: testOperator('b.example').id })
  assert.is(await reasonOf(offered(signedBy(s1, elsewhere))), 'operator')
  assert.is(await reasonOf(offered(signedBy(s1, { telepathy: true }))), 'malformed')
  const other = {
    ...signed,
    signature: toBase64url(s1.identity.sign('cpns-entry-v1', crypto.sha256(policyBytes(signed.text)))),
  }
  assert.is(await reasonOf(offered(other)), 'signature', 'what was signed for something else')
})

test('an older policy is refused, the same one is no news', async () => {
  const known = await offered(signedBy(s1, policyOf(5, [s1, s2])))
  assert.ok(known)
  assert.is(await reasonOf(offered(signedBy(s2, policyOf(4, [s1, s2])), known)), 'rollback')
  const earlierManifest = policyOf(5, [s1], { version: { ...known.policy.version, manifests: 0 } })
  assert.is(await reasonOf(offered(signedBy(s2, earlierManifest), known)), 'rollback')
  assert.is(await offered(signedBy(s2, policyOf(5, [s1, s2])), known), undefined)
})

test('servers change as a whole, step by step; who is none any more has no say; a kept chain leads to the same', async () => {
  const first = await offered(signedBy(s1, policyOf(1, [s1, s2])))
  assert.ok(first)
  const second = await offered(signedBy(s2, policyOf(2, [s2, s3])), first)
  assert.ok(second)
  assert.equal(trustedBy(second, anchor), [s2.id, s3.id])
  assert.is(await reasonOf(offered(signedBy(s1, policyOf(9, [s1])), second)), 'signer', 's1 has left')
  const third = await offered(signedBy(s3, policyOf(3, [s3])), second)
  assert.ok(third)
  assert.is(third.chain.length, 3)
  assert.equal(await recall(third.chain, anchor, clientCrypto), third)
  assert.is(await reasonOf(recall(third.chain.slice(1), anchor, clientCrypto)), 'signer')
  const back = await offered(signedBy(s3, policyOf(4, [s1, s3])), third)
  const short = await offered(signedBy(s1, policyOf(5, [s1])), back)
  assert.is(short?.chain.length, 1, 'a server that it was provisioned with proves itself')
})

test('a policy without a server that can be reached leaves those that the client was given', async () => {
  const known = await offered(signedBy(s1, policyOf(1, [])))
  assert.equal(trustedBy(known, anchor), [s1.id])
})

test.run()
