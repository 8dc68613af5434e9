/*
 * Properties of the small parts that a link is made of: what is lacking, who may exchange what, what waits to be sent, who
 * has misbehaved, in which order tasks run, how long to wait. Each fails as its own test says.
 */
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import { after, faultOf, good, sentence } from '../../src/federation/conduct.ts'
import { exchangeWith } from '../../src/federation/exchange.ts'
import { hasAll, headsOf, lacks } from '../../src/federation/heads.ts'
import { Intake } from '../../src/federation/intake.ts'
import { Lanes } from '../../src/federation/lanes.ts'
import { backoffMs, defaultLinkLimits } from '../../src/federation/limits.ts'
import { Mentions } from '../../src/federation/mentions.ts'
import { Outbox, type Outgoing } from '../../src/federation/outbox.ts'
import { weightOf } from '../../src/federation/sync-session.ts'
import type { Head } from '../../src/federation/wire-sync.ts'
import type { IndexRecord } from '../../src/ports/log-store.ts'
import type { DocumentId, LogId, OperatorId, ServerId } from '../../src/ports/names.ts'
import { ManualClock, settle } from '../fixtures/manual-clock.ts'
import { testOperator } from '../fixtures/operators.ts'
import { TestEntitlement } from './world.ts'

const a = testOperator('a.example')
const b = testOperator('b.example')
const c = testOperator('c.example')
const home = asDocumentId('pn/a.example/home')
const documentOf = (number: number): DocumentId => asDocumentId(`pn/a.example/${number}`)

const head = (log: string, length: number, hash = 1, forked = false): Head => ({
  log: log as LogId,
  length,
  hash: new Uint8Array(32).fill(hash),
  ...(forked && { forked }),
})

function indexOf(heads: readonly Head[], superseded: readonly [string, number][] = []): IndexRecord {
  return {
    document: home,
    heads: heads.map(
      each => ({ ...each, server: 's' as ServerId, bytes: 1, clock: 0 }) as IndexRecord['heads'][number],
    ),
    superseded: superseded.map(([log, seq]) => ({ log: log as LogId, seq })),
    digest: new Uint8Array(32),
    epoch: 0,
  }
}

test('lacking is what the other holds beyond what is held, copied, or known to be cut', () => {
  const mine = indexOf([head('x', 5), head('cut', 3, 9, true)], [['old', 4]])
  for (const [theirs, expected] of [
    [[], false],
    [[head('x', 5)], false],
    [[head('x', 4, 2)], false],
    [[head('x', 6, 2)], true],
    [[head('x', 5, 2)], true],
    [[head('x', 2, 2, true)], true],
    [[head('old', 5)], false],
    [[head('old', 6)], true],
    [[head('new', 1)], true],
    [[head('cut', 7)], false],
    [[head('cut', 3, 9, true)], false],
    [[head('cut', 2, 9, true)], true],
    [[head('x', 5), head('old', 1), head('new', 1)], true],
  ] as const)
    assert.is(lacks(mine, theirs), expected, JSON.stringify(theirs.map(({ log, length }) => [log, length])))
  assert.is(lacks(undefined, [head('x', 1)]), true)
  assert.is(lacks(undefined, []), false)
})

test('who has all that is held here lacks nothing of it, and has it when he says the same; a fork is always to be proved', () => {
  const heads = fc
    .array(fc.record({ log: fc.constantFrom('x', 'y', 'z'), length: fc.integer({ min: 1, max: 3 }), hash: fc.nat(1) }))
    .map(all => [...new Map(all.map(each => [each.log, head(each.log, each.length, each.hash)])).values()])
  fc.assert(
    fc.property(heads, heads, fc.boolean(), (theirs, mine, isForked) => {
      const index = indexOf(mine)
      assert.ok(hasAll(headsOf(index), index))
      if (hasAll(theirs, index)) assert.not(lacks(indexOf(theirs), mine))
      const [first] = mine
      if (!isForked || !first) return
      const forked = indexOf([{ ...first, forked: true }, ...mine.slice(1)])
      assert.not(hasAll(theirs, forked) || hasAll(headsOf(forked), forked))
    }),
  )
})

test('documents pass between operators that may both hold them; a home document may be taken before that is known', () => {
  const entitlement = new TestEntitlement()
  const visit = asDocumentId('visit/b.example/a.example/home')
  const mailbox = asDocumentId('devices/a.example/alice')
  const at = (own: OperatorId, peer: OperatorId) => exchangeWith(peer, own, entitlement)
  const rule = (own: typeof a, peer: typeof a, document: DocumentId) => {
    const { mayGive, mayTake } = at(own.id, peer.id)
    return `${mayGive(document) ? 'give' : '-'} ${mayTake(document) ? 'take' : '-'}`
  }
  assert.is(rule(a, a, mailbox), 'give take', 'servers of one operator')
  assert.is(rule(b, a, mailbox), 'give -', 'whoever holds it gives it back to its owner')
  assert.is(rule(a, b, mailbox), '- take', 'not granted: the owner gives it to nobody, but takes it back')
  assert.is(rule(a, b, home), '- take')
  assert.is(rule(b, a, home), 'give take', 'not known yet')
  assert.is(rule(c, b, visit), 'give -')
  entitlement.grant(home, b)
  assert.is(rule(a, b, home), 'give take')
  assert.is(rule(b, a, home), 'give take')
  assert.is(rule(b, c, home), '- -', 'not granted to the peer')
  entitlement.grant(visit, a, c)
  assert.is(rule(c, a, visit), 'give take', 'relayed')
})

test('an outbox holds no more than it may, whatever is put in; nothing is sent twice, receipts of one document become one', () => {
  const limits = { maxPushBytes: 100, maxAnswers: 3, maxDocuments: 4, maxMessages: 64 }
  const action = fc.record({
    kind: fc.constantFrom('push' as const, 'answer' as const, 'receipt' as const, 'ask' as const, 'take' as const),
    document: fc.nat(9).map(documentOf),
    bytes: fc.nat(60),
  })
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), actions => {
      const outbox = new Outbox(limits)
      const waiting = new Map<string, number>()
      const taken = (out: Outgoing | undefined) => {
        if (!out) return
        const kind = out.type === 'ask' || out.type === 'receipt' ? 'have' : out.type
        assert.ok(waiting.delete(`${kind} ${out.document}`), 'it was put in, and not taken before')
      }
      for (const { kind, document, bytes } of actions) {
        if (kind === 'take') taken(outbox.take())
        else if (kind === 'push') {
          if (outbox.push(document, [new Uint8Array(bytes)])) waiting.set(`push ${document}`, bytes)
          else for (const key of [...waiting.keys()]) if (key.startsWith('push')) waiting.delete(key)
        } else if (kind === 'answer') {
          if (outbox.answer(document, { heads: [] })) waiting.set(`answer ${document}`, 0)
        } else if (kind === 'ask' ? outbox.ask(document) : outbox.receipt(document, [])) {
          waiting.set(`have ${document}`, 0)
        }
        for (const [prefix, most] of [
          ['push', limits.maxDocuments],
          ['answer', limits.maxAnswers],
          ['have', limits.maxDocuments],
        ] as const)
          assert.ok([...waiting.keys()].filter(key => key.startsWith(prefix)).length <= most)
      }
      while (!outbox.isEmpty) taken(outbox.take())
      assert.is(waiting.size, 0)
    }),
  )
})

test('what is pushed of one document travels together, in order; messages go first; no kind starves another', () => {
  const outbox = new Outbox({ maxPushBytes: 1_000, maxAnswers: 100, maxDocuments: 100, maxMessages: 64 })
  for (let at = 0; at < 3; at++) outbox.push(home, [Uint8Array.of(at)])
  for (let at = 0; at < 50; at++) outbox.answer(documentOf(at), { heads: [] })
  outbox.receipt(home, [])
  outbox.ask(home)
  outbox.message({ type: 'behind' })
  assert.is(outbox.takeMessage()?.type, 'behind')
  assert.is(outbox.takeMessage(), undefined)
  const order = Array.from({ length: 3 }, () => outbox.take())
  assert.equal(order.map(out => out?.type).sort(), ['answer', 'ask', 'push'], 'an ask says what a receipt would')
  const push = order.find(out => out?.type === 'push')
  assert.equal(
    push?.type === 'push' && push.entries,
    [0, 1, 2].map(at => Uint8Array.of(at)),
  )
})

test('faults add up and are forgiven with time; what an honest peer may do costs nothing', () => {
  const limits = { throttleLevel: 3, cutOffLevel: 6, forgivenPerSecond: 1 }
  let conduct = good
  for (let fault = 0; fault < 3; fault++) conduct = after(conduct, faultOf('bad-signature'), 0, limits)
  assert.is(sentence(conduct, 0, limits), 'throttled')
  assert.is(sentence(conduct, 1, limits), 'none')
  for (let fault = 0; fault < 4; fault++) conduct = after(conduct, faultOf('malformed'), 0, limits)
  assert.is(sentence(conduct, 1_000, limits), 'cut-off')
  assert.is(sentence(conduct, 1_001, limits), 'throttled')
  assert.is(sentence(conduct, 60_000, limits), 'none')
  for (const reason of ['equivocation', 'forked', 'document-full', 'storage'] as const) assert.is(faultOf(reason), 0)
})

test('lanes keep the order within each, run side by side, and let in no more than they hold', async () => {
  const errors: unknown[] = []
  const lanes = new Lanes(3, error => errors.push(error))
  const done: string[] = []
  const gates = new Map<string, () => void>()
  let entered = 0
  const enter = (lane: string, name: string) =>
    lanes
      .enter(lane, async () => {
        await new Promise<void>(resolve => gates.set(name, resolve))
        if (name === 'x2') throw new Error('x2 failed')
        done.push(name)
      })
      .then(() => entered++)
  for (const name of ['x1', 'x2', 'y1', 'x3', 'y2']) void enter(name.slice(0, 1), name)
  await settle()
  assert.is(entered, 3)
  assert.equal([...gates.keys()], ['x1', 'y1'])
  gates.get('y1')?.()
  await settle()
  assert.is(entered, 4)
  for (const name of ['x1', 'x2', 'x3', 'y2']) {
    gates.get(name)?.()
    await settle()
  }
  assert.equal(done, ['y1', 'x1', 'x3', 'y2'])
  assert.is(errors.length, 1)
})

test('what is heavier takes the room of several, and the last to come in may weigh more than is left', async () => {
  const lanes = new Lanes(10, () => {})
  const gates = new Map<string, () => void>()
  const entered: string[] = []
  for (const [name, weight] of [
    ['a', 6],
    ['b', 1],
    ['c', 20],
    ['d', 1],
    ['e', 1],
  ] as const) {
    const task = () => new Promise<void>(resolve => gates.set(name, resolve))
    void lanes.enter(name, task, weight).then(() => entered.push(name))
  }
  await settle()
  assert.equal(entered, ['a', 'b', 'c'])
  gates.get('a')?.()
  gates.get('b')?.()
  await settle()
  assert.equal(entered, ['a', 'b', 'c'], 'the heavy one fills it alone')
  gates.get('c')?.()
  await settle()
  assert.equal(entered, ['a', 'b', 'c', 'd', 'e'])
})

test('a message with many or large entries counts for several, one with a small one for half', () => {
  const document = asDocumentId('pn/a.example/one')
  const entries = (count: number, bytes: number) =>
    weightOf({ type: 'entries', document, entries: Array.from({ length: count }, () => new Uint8Array(bytes)) })
  assert.is(entries(1, 100), 0.5)
  assert.is(entries(16, 100), 1)
  assert.is(entries(160, 100), 10)
  assert.is(entries(1, 1024 * 1024), 4)
  const manifests = [new Uint8Array(1024 * 1024)]
  assert.is(weightOf({ type: 'entries', document, entries: [], manifests }), 4)
})

test('entries are judged in the turn of the operator whose server sends them', async () => {
  const document = asDocumentId('pn/a.example/one')
  const turns: (string | undefined)[] = []
  const intake = new Intake({
    peer: 'a server of b.example' as ServerId,
    turn: 'b.example',
    exchange: { mayTake: () => true },
    authors: { take: async () => 0, isToBeAsked: () => false, faultOfStrangers: () => 0 },
    documents: {
      async ingest(_document, _entries, _source, turn) {
        turns.push(turn)
        return { stored: 1, known: 0, refused: [], gaps: [], index: undefined }
      },
    },
    withinQuota: (_document, _entries, take) => take(),
    telemetry: { count() {} },
    mentions: new Mentions({ log() {} }, new ManualClock()),
  })
  await intake.take({ type: 'entries', document, entries: [new Uint8Array(1)] })
  assert.equal(turns, ['b.example'])
})

test('waiting doubles up to its bound, and is never the same for all', () => {
  const { redial } = defaultLinkLimits
  assert.equal(
    [1, 2, 3, 4, 5, 50].map(failures => backoffMs(failures, redial, 0.999_999)).map(Math.round),
    [100, 200, 400, 800, 1_000, 1_000],
  )
  assert.is(backoffMs(1, redial, 0), 50)
})

test('who makes messages because a peer wants them waits while as many as may be wait, and goes on when one was taken', async () => {
  const outbox = new Outbox({ maxPushBytes: 1_000, maxAnswers: 100, maxDocuments: 100, maxMessages: 2 })
  let answered = 0
  const answering = (async () => {
    for (; answered < 5; answered++) {
      await outbox.room()
      outbox.message({ type: 'behind' })
    }
  })()
  for (let taken = 0; taken < 5; taken++) {
    await settle()
    assert.is(outbox.size, Math.min(2, 5 - taken))
    assert.is(answered, Math.min(5, taken + 2))
    outbox.takeMessage()
  }
  await answering
  assert.ok(outbox.isEmpty)
})

test.run()
