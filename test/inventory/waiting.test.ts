/*
 * Proves: a command that was given with `ifUnreachable: "wait"` while its operator could not be reached is executed once
 * after the heal, without its client asking, whatever crashed meanwhile; its outcome is told to its subscriber alone, and
 * what can no longer be executed says so. Without it, it is refused with 423 and never executed.
 * Fails if a kept command is lost, executed twice, executed after its proof has expired, or if anybody can fill the disk.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Json } from '../../src/document/documents.ts'
import { CommandRefused, type Principal } from '../../src/federation/command.ts'
import type { CommandHandler, CommandProof } from '../../src/federation/federation.ts'
import { maxProofMs, signProof } from '../../src/federation/proof.ts'
import { defaultForwardingLimits } from '../../src/inventory/forwarding/create-forwarding.ts'
import type { InventoryLimits } from '../../src/inventory/limits.ts'
import type { CommandOutcome } from '../../src/inventory/methods.ts'
import { homeDocument } from '../../src/inventory/networks.ts'
import {
  a,
  b,
  c,
  crypto,
  grant,
  homeNetwork,
  keyOf,
  newId,
  refusalOf,
  type Server,
  subscribe,
  type World,
  world,
} from './world.ts'

const flat = { home: a, pnId: 'flat' }
const hour = 3_600_000
const alice: Principal = { operator: a, identity: 'alice' }

interface Given {
  readonly method: string
  readonly params: { readonly commandId: string; readonly [name: string]: Json }
  readonly proof: CommandProof
}

/** PN `flat` of alice at a.example; alice is attached at b.example. */
async function scene(limits: Partial<InventoryLimits> = {}, servers: Record<string, number> = { [a]: 1, [b]: 1 }) {
  const w = await world(servers, limits)
  const hub = await homeNetwork(w)
  subscribe(w, b, 'bob')
  await grant(w, 'flat', b)
  await w.replicate()
  return { w, hub }
}

/** A command of alice's, or of another, that a.example executes. */
function given(
  w: World,
  method: string,
  more: Record<string, Json>,
  how: { lifetimeMs?: number; who?: Principal } = {},
) {
  const { lifetimeMs = hour, who = alice } = how
  const params = { commandId: newId(), ...flat, time: w.clock.now(), ...more }
  const claim = {
    ...who,
    executor: a,
    document: homeDocument(flat),
    commandId: params.commandId,
    expires: w.clock.now() + lifetimeMs,
  }
  const key = { kind: 'psk', secret: keyOf(who.operator, who.identity) } as const
  return { method, params, proof: signProof(claim, method, params, key, crypto) } satisfies Given
}

const add = (w: World, pneId: string, how = {}) =>
  given(w, 'pn.update', { operation: 'add', pnes: [{ operator: a, pneId }] }, how)

/** As a session gives it, for the subscriber of the server's operator. */
async function give(server: Server, { method, params, proof }: Given, who: Principal = alice): Promise<unknown> {
  const command = server.inventory.commands.find(({ spec }) => spec.method === method)
  if (!command) throw new Error(`no method ${method}`)
  return command.execute(command.spec.params.parse(params), who, proof, { ifUnreachable: 'wait' })
}

const outcomeOf = (server: Server, { params: { commandId } }: Given, who: Principal = alice): Promise<CommandOutcome> =>
  server.call<CommandOutcome>('command.outcome', { commandId }, who)

async function becomes(w: World, server: Server, command: Given, state: CommandOutcome['state'], withinMs = 5_000) {
  for (let waitedMs = 0; waitedMs <= withinMs; waitedMs += 100) {
    const outcome = await outcomeOf(server, command)
    if (outcome.state === state) return outcome
    await w.clock.run(100)
  }
  throw new Error(`${command.method} is not ${state} within ${withinMs} ms`)
}

const membersOf = async (server: Server): Promise<string[]> =>
  (await server.inventoryOf(a, 'flat')).members.map(({ pneId }) => pneId)

test('kept while cut off, executed once after the heal, its outcome known; a repetition gets the same answer', async () => {
  const { w } = await scene()
  const [home, away] = [w.at(a), w.at(b)]
  w.cut(a, b)
  const command = add(w, 'lamp')
  const refused = await give(away, command).catch(error => error)
  if (!(refused instanceof CommandRefused)) return assert.unreachable('it was not refused')
  assert.is(refused.status, 202)
  const { commandId, expires } = command.proof
  assert.equal(refused.details, { commandId, executor: a, expires })
  assert.is(await refusalOf(give(away, command)), '202 PENDING', 'given again, it waits once')
  await w.clock.run(120_000)
  assert.is((await outcomeOf(away, command)).state, 'pending')
  assert.equal(await membersOf(home), [])

  w.join(a, b)
  const done = await becomes(w, away, command, 'done', 2_000)
  assert.equal(await membersOf(home), ['lamp'])
  w.cut(a, b)
  assert.equal(await give(away, command), done.state === 'done' && done.result, 'cut off again, the outcome is known')
  w.join(a, b)
  assert.equal(await give(away, command), done.state === 'done' && done.result)
  await w.stop()
})

test('not to wait is to be refused: 423, and nothing is sent later', async () => {
  const { w } = await scene()
  w.cut(a, b)
  const { method, params, proof } = add(w, 'lamp')
  assert.is(await refusalOf(w.at(b).call(method, params, alice, proof)), '423 OWNER_UNREACHABLE')
  w.join(a, b)
  await w.clock.run(hour)
  assert.equal(await membersOf(w.at(a)), [])
  assert.is(
    await refusalOf(w.at(b).call('command.outcome', { commandId: params.commandId }, alice)),
    '404 COMMAND_UNKNOWN',
  )
  await w.stop()
})

test('nothing waits that was not proved: what an operator vouches for is of the moment', async () => {
  const { w } = await scene()
  w.cut(a, b)
  const command = w.at(b).inventory.commands.find(({ spec }) => spec.method === 'pn.update')
  const params = command?.spec.params.parse(add(w, 'lamp').params)
  assert.is(
    await refusalOf(command?.execute(params, alice, undefined, { ifUnreachable: 'wait' }) ?? Promise.resolve()),
    '403 ELSEWHERE',
  )
  await w.stop()
})

test('crashes on either side lose nothing and do nothing twice', async () => {
  const { w } = await scene()
  const [home, away] = [w.at(a), w.at(b)]
  w.cut(a, b)
  const commands = [add(w, 'lamp'), add(w, 'clock')]
  for (const command of commands) assert.is(await refusalOf(give(away, command)), '202 PENDING')
  await away.restart()
  assert.is((await outcomeOf(away, commands[0] as Given)).state, 'pending')
  w.join(a, b)
  for (const command of commands) await becomes(w, away, command, 'done', 3_000)
  assert.equal(await membersOf(home), ['clock', 'lamp'])

  // The answer is lost with the server that should have had it: it sends again, and gets the answer of the first time.
  w.cut(a, b)
  const release = given(w, 'pn.release', {})
  assert.is(await refusalOf(give(away, release)), '202 PENDING')
  const { epoch } = await home.call<{ epoch: number }>('pn.release', release.params, alice, undefined)
  await away.restart()
  await home.restart()
  w.join(a, b)
  const done = await becomes(w, away, release, 'done', 3_000)
  assert.equal(done.state === 'done' && done.result, { epoch })
  await w.stop()
})

test('what a subscriber gave is executed in that order, and the time of the command is what it says', async () => {
  const { w } = await scene()
  const [home, away] = [w.at(a), w.at(b)]
  w.cut(a, b)
  const pnes = [{ operator: a, pneId: 'lamp' }]
  const commands: Given[] = []
  for (const operation of ['add', 'remove', 'add', 'remove']) {
    w.clock.advance(10)
    commands.push(given(w, 'pn.update', { operation, pnes }))
    assert.is(await refusalOf(give(away, commands.at(-1) as Given)), '202 PENDING')
  }
  w.join(a, b)
  for (const command of commands) await becomes(w, away, command, 'done', 3_000)
  assert.equal(await membersOf(home), [])

  // Decided at home in the meantime: what waited is older, and loses.
  w.cut(a, b)
  const late = given(w, 'pn.update', { operation: 'add', pnes })
  assert.is(await refusalOf(give(away, late)), '202 PENDING')
  w.clock.advance(1_000)
  await home.call('pn.update', { commandId: newId(), ...flat, operation: 'add', pnes }, 'alice')
  await home.call('pn.update', { commandId: newId(), ...flat, operation: 'remove', pnes }, 'alice')
  w.join(a, b)
  const refused = await becomes(w, away, late, 'refused', 3_000)
  assert.equal(refused.state === 'refused' && [refused.refusal.status, refused.refusal.reason], [409, 'OVERTAKEN'])
  await w.stop()
})

test('a proof that expires while it waits ends it: 504 PENDING_EXPIRED; a proof for longer than seven days is none', async () => {
  const { w } = await scene()
  const away = w.at(b)
  w.cut(a, b)
  const short = add(w, 'lamp', { lifetimeMs: hour })
  const long = add(w, 'clock', { lifetimeMs: maxProofMs })
  assert.is(await refusalOf(give(away, short)), '202 PENDING')
  assert.is(await refusalOf(give(away, long)), '202 PENDING')
  assert.is(await refusalOf(give(away, add(w, 'x', { lifetimeMs: maxProofMs + 1_000 }))), '401 PROOF_REFUSED')
  await w.clock.run(hour + 60_000)
  const refused = await outcomeOf(away, short)
  assert.equal(refused.state === 'refused' && [refused.refusal.status, refused.refusal.reason], [
    504,
    'PENDING_EXPIRED',
  ])
  assert.is(await refusalOf(give(away, short)), '401 PROOF_REFUSED', 'an expired proof is good for nothing')
  w.join(a, b)
  await becomes(w, away, long, 'done')
  assert.equal(await membersOf(w.at(a)), ['clock'])
  await w.stop()
})

test('what the operator refuses for good is an outcome; what is for the moment is tried again', async () => {
  const { w } = await scene()
  const [home, away] = [w.at(a), w.at(b)]
  w.cut(a, b)
  const forbidden = given(w, 'pn.release', {}, { who: { operator: b, identity: 'bob' } })
  const bob = { operator: b, identity: 'bob' }
  assert.is(await refusalOf(give(away, forbidden, bob)), '202 PENDING')
  const wrongVersion = given(w, 'pn.update', {
    operation: 'add',
    pnes: [{ operator: a, pneId: 'x' }],
    expectedVersion: 'no',
  })
  assert.is(await refusalOf(give(away, wrongVersion)), '202 PENDING')
  const command = add(w, 'lamp')
  assert.is(await refusalOf(give(away, command)), '202 PENDING')

  const handler = home.handlers.get('pn.update') as CommandHandler
  const answers = [503, 429, 504, 423].map(status => ({ ok: false as const, status, cause: 'X', message: 'not now' }))
  home.handlers.set('pn.update', async (given, from) => answers.pop() ?? handler(given, from))
  w.join(a, b)
  await w.clock.run(120_000)
  const outcomes = await Promise.all([
    outcomeOf(away, forbidden, bob),
    outcomeOf(away, wrongVersion),
    outcomeOf(away, command),
  ])
  assert.equal(
    outcomes.map(outcome => (outcome.state === 'refused' ? outcome.refusal.reason : outcome.state)),
    ['NOT_AUTHORISED', 'VERSION_CONFLICT', 'done'],
  )
  assert.equal(answers, [])

  w.cut(a, b)
  const nonsense = add(w, 'clock')
  assert.is(await refusalOf(give(away, nonsense)), '202 PENDING')
  home.handlers.set('pn.update', async () => ({ ok: true, value: 7 }))
  w.join(a, b)
  const refused = await becomes(w, away, nonsense, 'refused')
  assert.is(refused.state === 'refused' && refused.refusal.reason, 'BAD_ANSWER')
  await w.stop()
})

test('an outcome is its subscriber’s alone, and so is the command id', async () => {
  const { w } = await scene()
  const away = w.at(b)
  w.cut(a, b)
  const command = add(w, 'lamp')
  assert.is(await refusalOf(give(away, command)), '202 PENDING')
  for (const who of [
    { operator: b, identity: 'bob' },
    { operator: b, identity: 'alice' },
    { operator: c, identity: 'alice' },
  ])
    assert.is(await refusalOf(outcomeOf(away, command, who)), '404 COMMAND_UNKNOWN')
  const other = given(w, 'pn.release', { commandId: command.params.commandId })
  assert.is(await refusalOf(give(away, other)), '409 COMMAND_REUSED')
  assert.is((await outcomeOf(away, command)).state, 'pending')
  await w.stop()
})

test('one subscriber, and all of them together, may have so many waiting; the rest is refused with 429', async () => {
  const { w } = await scene({
    forwarding: { ...defaultForwardingLimits, maxWaitingEach: 3, maxWaiting: 5, maxOutcomesEach: 2 },
  })
  const away = w.at(b)
  subscribe(w, b, 'mallory')
  w.cut(a, b)
  const flood = async (count: number, who: Principal) => {
    const commands = Array.from({ length: count }, (_, n) => add(w, `x-${n}`, { who }))
    const answers = await Promise.all(commands.map(command => refusalOf(give(away, command, who))))
    return { commands, answers: answers.sort() }
  }
  const { commands, answers } = await flood(5, alice)
  const [pending, tooMany] = ['202 PENDING', '429 TOO_MANY_PENDING']
  assert.equal(answers, [pending, pending, pending, tooMany, tooMany])
  const mallory = { operator: b, identity: 'mallory' }
  assert.equal((await flood(3, mallory)).answers, [pending, pending, tooMany])
  const [one, other] = [add(w, 'y', { who: mallory }), add(w, 'z', { who: mallory })]
  assert.is(await refusalOf(give(away, { ...one, proof: other.proof }, mallory)), '401 PROOF_REFUSED')

  w.join(a, b)
  await w.clock.run(5_000)
  const kept = await Promise.all(
    commands.map(command =>
      outcomeOf(away, command).then(
        ({ state }) => state,
        () => 'forgotten',
      ),
    ),
  )
  assert.equal(kept, ['forgotten', 'done', 'done', 'forgotten', 'forgotten'], 'and the oldest outcomes are forgotten')
  w.cut(a, b)
  assert.equal((await flood(1, mallory)).answers, [pending], 'there is room again')
  let records = 0
  for await (const _ of away.store.localScan('waiting/')) records++
  assert.is(records, 5)
  await w.clock.run(8 * 24 * hour)
  for await (const { key } of away.store.localScan('waiting/')) assert.unreachable(`${key} is remembered for ever`)
  await w.stop()
})

test('a subscriber that was removed while its command waited commands nothing', async () => {
  const { w } = await scene()
  const away = w.at(b)
  const bob = { operator: b, identity: 'bob' }
  w.cut(a, b)
  const command = add(w, 'lamp', { who: bob })
  assert.is(await refusalOf(give(away, command, bob)), '202 PENDING')
  away.subscribers.delete('bob')
  w.join(a, b)
  await w.clock.run(2_000)
  const outcome = await outcomeOf(away, command, bob)
  assert.is(outcome.state === 'refused' && outcome.refusal.reason, 'PROOF_REFUSED')
  await w.stop()
})

test('a disk that takes nothing keeps nothing: 503, and the command may be given again', async () => {
  const { w } = await scene()
  const away = w.at(b)
  w.cut(a, b)
  const command = add(w, 'lamp')
  const commit = away.store.commit
  away.store.commit = () => Promise.reject(new Error('full'))
  assert.is(await refusalOf(give(away, command)), '503 NOT_STORED')
  away.store.commit = commit
  assert.is(await refusalOf(outcomeOf(away, command)), '404 COMMAND_UNKNOWN')
  assert.is(await refusalOf(give(away, command)), '202 PENDING')
  await w.stop()
})

test.run()
