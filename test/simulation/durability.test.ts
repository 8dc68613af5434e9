/*
 * Proves, for production nodes and the SDK under virtual time: a client that wants what it writes held by other servers learns
 * which hold it, at its own operator or by way of another one; a partition makes that an answer that says so, never a refusal, and
 * the same command repeated after the heal is executed once and names them all. It fails if a server is named that is
 * cut off, if a cut refuses what was written, or if a repetition writes again.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { durably } from '../../src/client/durably.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import type { Session } from '../../src/client/session.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { pnEstablish, pnInventory, pnUpdate } from '../../src/inventory/methods.ts'
import { operatorId } from '../../src/ports/names.ts'
import { SimulatedFederation } from '../../src/simulation/federation/federation.ts'
import { World } from '../../src/simulation/world.ts'
import { messageDeposit } from '../../src/storage/methods/objects.ts'
import { userRegister } from '../../src/storage/methods/users.ts'
import { production } from './production.ts'

const minuteMs = 60_000

class Stage {
  readonly world: World
  readonly federation: SimulatedFederation

  private constructor(world: World, federation: SimulatedFederation) {
    this.world = world
    this.federation = federation
  }

  static async start(seed: number): Promise<Stage> {
    const world = new World({ seed, production })
    const operators = [
      { name: 'a.example', servers: 3 },
      { name: 'b.example', servers: 1 },
    ]
    const stage = new Stage(world, await SimulatedFederation.create(world, { operators }))
    const { subscribers, keyOf } = stage.federation.operator('a.example')
    subscribers.add({ identity: 'front', credential: { kind: 'psk', key: keyOf('front') }, rights: ['provision'] })
    stage.federation.start()
    await stage.pass(5_000)
    return stage
  }

  async pass(durationMs: number): Promise<void> {
    const ending = await this.world.run({ untilUs: Math.round((this.world.nowMs + durationMs) * 1_000) })
    if (ending.kind === 'failed') throw ending.error
  }

  /** Has a client, attached to the first server of its operator, do something. */
  async by<T>(operator: string, name: string, action: (session: Session) => Promise<T>): Promise<T> {
    const client = this.federation.client(this.federation.operator(operator), name, [0])
    let ended: { readonly value: T } | { readonly error: unknown } | undefined
    this.world.at(Math.ceil(this.world.nowMs), 'step', () => {
      client
        .session()
        .then(action)
        .then(
          value => {
            ended = { value }
          },
          error => {
            ended = { error }
          },
        )
    })
    for (let waitedMs = 0; !ended && waitedMs < minuteMs; waitedMs += 100) await this.pass(100)
    if (!ended) throw new Error('The step did not end.')
    if ('error' in ended) throw ended.error
    return ended.value
  }

  ids(...numbers: readonly number[]): string[] {
    return numbers.map(number => this.federation.server(`a.example/${number}`).card.identity.server).sort()
  }
}

const test = suite('durability, simulated')

const home = operatorId('a.example')
const lamp = { operator: home, pneId: 'lamp' }
const flat = { home, pnId: 'flat' }
const establish = { commandId: 'establish-000001', alias: 'Flat', pnId: 'flat' }
const addLamp = { commandId: 'add-lamp-0000001', ...flat, operation: 'add' as const, pnes: [lamp] }

test('a command is answered when others hold it; through a cut with those that do; repeated after it, with all', async () => {
  const stage = await Stage.start(1)
  const { result, durability } = await stage.by('a.example', 'owner', session =>
    session.call(durably(pnEstablish, { replicated: 2 }), establish),
  )
  assert.is(result.pnId, 'flat')
  assert.is(durability.stored, stage.ids(1)[0])
  assert.equal([[...durability.replicated].sort(), durability.isReached], [stage.ids(2, 3), true])

  const heal = stage.world.network.partition([['a.example/3'], ['a.example/1', 'a.example/2', 'owner@a.example']])
  const update = durably(pnUpdate, { replicated: 2, timeoutMs: 2_000 })
  const cut = await stage.by('a.example', 'owner', session => session.call(update, addLamp))
  assert.equal([cut.durability.replicated, cut.durability.isReached], [stage.ids(2), false])

  heal()
  await stage.pass(2 * minuteMs)
  const again = await stage.by('a.example', 'owner', session => session.call(update, addLamp))
  assert.equal([[...again.durability.replicated].sort(), again.durability.isReached], [stage.ids(2, 3), true])
  assert.equal(again.result, cut.result, 'executed once')
})

test('so is one that another operator executes: by servers of that one', async () => {
  const stage = await Stage.start(2)
  await stage.by('a.example', 'owner', session => session.call(pnEstablish, establish))
  const owner = stage.federation.client(stage.federation.operator('a.example'), 'owner').identity
  const prove = { executor: home, document: asDocumentId('pn/a.example/flat'), as: owner }
  const { durability } = await stage.by('b.example', 'visitor', session =>
    session.call(durably(pnUpdate, { replicated: 2 }), addLamp, { prove }),
  )
  assert.is(durability.isReached, true)
  assert.equal([durability.stored, ...durability.replicated].sort(), stage.ids(1, 2, 3))
})

test('all documents of a mailbox count; what writes nothing is refused', async () => {
  const stage = await Stage.start(3)
  const mailbox = { operator: home, user: 'u-4711' }
  const two = { replicated: 2 }
  const registered = await stage.by('a.example', 'front', session =>
    session.call(durably(userRegister, two), {
      commandId: 'register-00000001',
      user: mailbox.user,
      addresses: ['tel:+4930123456'],
      subscribers: [{ operator: home, identity: 'alice', rights: ['read', 'write', 'deposit'] }],
    }),
  )
  assert.is(registered.durability.isReached, true)
  const object = {
    type: 'message' as const,
    conversationId: 'lunch',
    contributionId: 'lunch-1',
    date: stage.world.epochMs,
    from: 'tel:+49301',
    to: ['tel:+4930123456'],
    direction: 'in' as const,
    contentType: 'text/plain',
    text: 'Lunch?',
  }
  const deposited = await stage.by('a.example', 'alice', session =>
    session.call(durably(messageDeposit, two), { commandId: 'deposit-000000001', ...mailbox, object }),
  )
  assert.is(deposited.durability.isReached, true)
  const there = stage.federation.server('a.example/3').node?.documents
  assert.ok(
    there && (await Array.fromAsync(there.list('conversation/a.example/u-4711/'))).length > 0,
    'its part is there',
  )

  const refused = await stage.by('a.example', 'owner', session =>
    session.call(durably(pnInventory, two), flat).then(
      () => undefined,
      error => (error instanceof RequestRefused ? error.reason : error),
    ),
  )
  assert.is(refused, 'MALFORMED')
})

test.run()
