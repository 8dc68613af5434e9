/*
 * Proves, for production nodes and the SDK under virtual time: a client that is always online follows its operator's policy; it
 * outlives servers that die, are overloaded, or cannot be reached; it comes home when it may, without being offline in between; it
 * hands over to the application's own server when the policy says so, and takes back; one operator's failure is no matter of another's.
 * It fails if a client is stuck, goes where the policy does not want it, or forgets over its own end what it knew.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { policyGet, policySet, policyShow } from '../../src/access/policy/methods.ts'
import { operatorPolicy, type PolicyInput } from '../../src/access/policy/rules.ts'
import { sessionTicket } from '../../src/access/protocol.ts'
import { type AlwaysOn, keepAlwaysOn } from '../../src/client/always-on/always-on.ts'
import type { Home, HomeState } from '../../src/client/always-on/home.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import { pnEstablish } from '../../src/inventory/methods.ts'
import type { DocumentId, OperatorId, ServerId } from '../../src/ports/names.ts'
import type { PolicyStore } from '../../src/ports/policy-store.ts'
import { SimulatedFederation } from '../../src/simulation/federation/federation.ts'
import { clientUrlOf } from '../../src/simulation/federation/operator.ts'
import { World } from '../../src/simulation/world.ts'
import { production } from './production.ts'

const minuteMs = 60_000
const busy = { loopDelayMs: 200, utilisation: 1, memory: 0 }
const calm = { loopDelayMs: 0, utilisation: 0, memory: 0 }

/** A of three servers, B of one, each with an administrator; phones are subscribers of both. */
class Stage {
  readonly world: World
  readonly federation: SimulatedFederation
  #commands = 0

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
    for (const { id, keyOf, subscribers } of stage.federation.operators) {
      subscribers.add({ identity: 'admin', credential: { kind: 'psk', key: keyOf('admin') }, rights: ['provision'] })
      stage.federation.client(stage.federation.operator(id), 'admin')
    }
    stage.federation.start()
    await stage.pass(5_000)
    return stage
  }

  async pass(durationMs: number): Promise<void> {
    const ending = await this.world.run({ untilUs: Math.round((this.world.nowMs + durationMs) * 1_000) })
    if (ending.kind === 'failed') throw ending.error
  }

  async inside<T>(action: () => Promise<T>): Promise<T> {
    let ended: { readonly value: T } | { readonly error: unknown } | undefined
    this.world.at(Math.ceil(this.world.nowMs), 'step', () => {
      action().then(
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

  /** Said at whichever server the administrator is attached to, and heard of everywhere. */
  async say(operator: string, policy: PolicyInput): Promise<void> {
    const admin = this.federation.client(this.federation.operator(operator), 'admin')
    const commandId = `policy-of-${String(++this.#commands).padStart(12, '0')}`
    await this.inside(() => admin.insist(policySet, { commandId, policy: operatorPolicy.parse(policy) }))
    await this.pass(2_000)
  }

  serverId(name: string): ServerId {
    return this.federation.server(name).card.identity.server
  }

  /** @param first the server of A that it was provisioned with, by its number */
  phone(name: string, options: { first?: number; store?: PolicyStore; operators?: readonly string[] } = {}) {
    const { first = 0, store, operators = ['a.example', 'b.example'] } = options
    const { sockets, clientCrypto: crypto, clock } = this.world.host(name).boot()
    const homes = operators.map(id => {
      const { id: operator, servers, keyOf } = this.federation.operator(id)
      const card = servers[id === 'a.example' ? first : 0]
      if (!card) throw new RangeError('There is no such server.')
      return {
        operator,
        identity: name,
        credential: { kind: 'psk' as const, key: keyOf(name) },
        servers: [card.identity.server],
        urls: [clientUrlOf(card)],
      }
    })
    const client = keepAlwaysOn({ sockets, crypto, clock }, { homes, ...(store && { store }) })
    return new Phone(client)
  }
}

/** A client with what it told. */
class Phone {
  readonly client: AlwaysOn
  readonly told: string[] = []
  readonly refused: string[] = []

  constructor(client: AlwaysOn) {
    this.client = client
    client.listen({
      changed: ({ operator, state }) => this.told.push(`${operator} ${state.kind}`),
      policyRefused: (_home, { reason }) => this.refused.push(reason),
    })
  }

  home(operator = 'a.example'): Home {
    return this.client.home(operator as OperatorId)
  }

  state(operator = 'a.example'): HomeState {
    return this.home(operator).state
  }

  /** The server it is online at, or the state. */
  at(operator = 'a.example'): string {
    const state = this.state(operator)
    return state.kind === 'online' ? state.server : state.kind
  }
}

const test = suite('always online, simulated')

test('follows the policy: to the preferred server, to the next when that dies, and home without a gap', async () => {
  const stage = await Stage.start(1)
  const [one, two, three] = ['a.example/1', 'a.example/2', 'a.example/3'].map(name => stage.serverId(name))
  assert.ok(one && two && three)
  await stage.say('a.example', {
    standard: {
      servers: [
        { server: one, order: 1 },
        { server: two, order: 2 },
      ],
      home: { afterMs: 5 * minuteMs },
      heartbeat: { leastMs: 15_000, mostMs: 4 * minuteMs },
    },
  })
  const phone = stage.phone('phone', { first: 2 })
  await stage.pass(2 * minuteMs)
  assert.is(phone.at(), one, 'who was provisioned with a server that is for others is moved')
  assert.equal(
    phone.home().policy?.servers.map(({ server }) => server),
    [one, two],
  )
  assert.ok(phone.home().session)

  await stage.pass(30 * minuteMs)
  assert.is(phone.at(), one)
  assert.ok((phone.client.heartbeatMs ?? 0) > minuteMs, `it beats every ${phone.client.heartbeatMs} ms`)

  const first = stage.federation.server('a.example/1')
  first.crash({ of: 'process' })
  await stage.pass(minuteMs)
  assert.is(phone.at(), two)
  assert.not((phone.state() as Extract<HomeState, { kind: 'online' }>).isPreferred)
  first.start()
  phone.told.length = 0
  await stage.pass(15 * minuteMs)
  assert.is(phone.at(), one)
  assert.equal(
    phone.told.filter(line => line.startsWith('a.example')).slice(-2),
    ['a.example moving', 'a.example online'],
    'it was never offline',
  )
  assert.not(phone.told.includes('a.example connecting'))

  await stage.say('a.example', { standard: { servers: [{ server: three }] } })
  await stage.pass(2 * minuteMs)
  assert.is(phone.at(), three, 'another policy moves who is there')
  assert.equal(phone.refused, [])
  phone.client.close()
  assert.is(phone.state().kind, 'offline')
})

test('where nobody has room the application goes direct, as long as the policy allows it, and is taken back', async () => {
  const stage = await Stage.start(2)
  const servers = stage.federation.serversOf(stage.federation.operator('a.example'))
  for (const { probe } of servers) probe.current = busy
  await stage.pass(5_000)
  const phone = stage.phone('phone')
  await stage.pass(10_000)
  const state = phone.state()
  assert.equal([state.kind, state.kind === 'direct' && state.reason], ['direct', 'overloaded'])
  assert.is(phone.home().session, undefined)
  assert.is(phone.state('b.example').kind, 'online', 'another operator has nothing to do with it')
  for (const { probe } of servers) probe.current = calm
  await stage.pass(3 * minuteMs)
  assert.is(phone.state().kind, 'online')

  await stage.say('a.example', { standard: { direct: { allowed: false } } })
  await stage.pass(minuteMs)
  for (const { probe } of servers) probe.current = busy
  await stage.pass(5_000)
  const other = stage.phone('other')
  await stage.pass(10_000)
  assert.is(other.state().kind, 'backing-off', 'the servers do not offer it')
})

test('servers that cannot be reached: direct after a while, one operator apart from the other, and back', async () => {
  const stage = await Stage.start(3)
  const phone = stage.phone('phone')
  await stage.pass(minuteMs)
  assert.is(phone.state().kind, 'online')
  assert.is(phone.state('b.example').kind, 'online')
  const { link } = phone.home()
  const states: string[] = []
  link.listen({
    state: state => void states.push(state.kind === 'connecting' && state.isDirect ? 'direct' : state.kind),
  })
  assert.is(link.state.kind, 'connected')
  phone.told.length = 0
  const heal = stage.world.network.partition([
    ['a.example/1', 'a.example/2', 'a.example/3'],
    ['phone', 'b.example/1'],
  ])
  await stage.pass(5 * minuteMs)
  const state = phone.state()
  assert.equal([state.kind, state.kind === 'direct' && state.reason], ['direct', 'unreachable'])
  assert.ok(phone.told.includes('a.example backing-off'), 'not at once')
  assert.not(phone.told.some(line => line.startsWith('b.example')))
  heal()
  await stage.pass(2 * minuteMs)
  assert.is(phone.state().kind, 'online')
  const order = states.filter((state, index) => state !== states[index - 1])
  assert.equal(order, ['connecting', 'direct', 'connected'], 'what is built on the link hears the same')
  assert.equal((await stage.inside(() => link.call(policyGet, {}))).text, JSON.stringify(phone.home().policy))
})

test('what was known is known after a restart, and the provisioned server may be gone by then', async () => {
  const stage = await Stage.start(4)
  const [one, two] = ['a.example/1', 'a.example/2'].map(name => stage.serverId(name))
  assert.ok(one && two)
  await stage.say('a.example', { standard: { servers: [{ server: one }, { server: two }] } })
  const kept = new Map<string, string>()
  const store: PolicyStore = {
    read: async operator => kept.get(operator),
    write: async (operator, text) => void kept.set(operator, text),
  }
  const phone = stage.phone('phone', { store })
  await stage.pass(minuteMs)
  assert.is(phone.state().kind, 'online')
  phone.client.close()
  stage.federation.server('a.example/1').crash({ of: 'process' })
  const again = stage.phone('phone again', { store, operators: ['a.example'] })
  await stage.pass(minuteMs)
  assert.is(again.at(), two)
  again.client.close()

  kept.set('a.example', kept.get('a.example')?.replace('\\"hops\\":3', '\\"hops\\":7') ?? '')
  stage.federation.server('a.example/1').start()
  await stage.pass(5_000)
  const third = stage.phone('third', { store, operators: ['a.example'] })
  await stage.pass(minuteMs)
  assert.equal(third.refused, ['signature'], 'what was changed in the store is not believed')
  assert.is(third.state().kind, 'online')
  assert.is(third.home().policy?.hops, 3, 'and is told anew')
})

test('whoever answers in its server’s place is told nothing, and is not the end of it', async () => {
  const stage = await Stage.start(8)
  const { sockets, clientCrypto: crypto, clock } = stage.world.host('phone').boot()
  const { id: operator, servers, keyOf } = stage.federation.operator('a.example')
  const [first, second] = servers
  assert.ok(first && second)
  const credential = { kind: 'psk' as const, key: keyOf('phone') }
  const homes = [
    { operator, identity: 'phone', credential, servers: [second.identity.server], urls: [clientUrlOf(first)] },
  ]
  const phone = new Phone(keepAlwaysOn({ sockets, crypto, clock }, { homes }))
  await stage.pass(minuteMs)
  const said = new Set(phone.told)
  assert.not(said.has('a.example online') || said.has('a.example offline'))
  assert.ok(said.has('a.example backing-off'))
  assert.ok(phone.told.length > 2, 'it tries on')
  phone.client.close()
})

test('a policy that allows no second operator holds it back, and lets it go', async () => {
  const stage = await Stage.start(5)
  await stage.say('a.example', { standard: { several: false } })
  const phone = stage.phone('phone')
  await stage.pass(minuteMs)
  assert.is(phone.state().kind, 'online')
  const state = phone.state('b.example')
  assert.equal([state.kind, state.kind === 'offline' && state.reason], ['offline', 'policy'])
  await stage.say('a.example', { standard: { several: true } })
  await stage.pass(2 * minuteMs)
  assert.is(phone.state('b.example').kind, 'online')
  const shown = await stage.inside(() =>
    stage.federation.client(stage.federation.operator('a.example'), 'admin').insist(policyShow, {}),
  )
  assert.ok(shown.policy.standard.several)
})

const shedding = { loopDelayMs: 600, utilisation: 1, memory: 0 }
const roaming = { home: { afterMs: 5 * minuteMs } }

/** All servers of A have too much to do, and the one that the phone was at is gone: it has to come in anew. */
async function crowd(stage: Stage): Promise<void> {
  const servers = stage.federation.serversOf(stage.federation.operator('a.example'))
  for (const { probe } of servers) probe.current = shedding
  await stage.pass(5_000)
  stage.federation.server('a.example/1').crash({ of: 'process' })
}

test('sent to another operator, as its guest: served there by its own operator’s word, and home again', async () => {
  const stage = await Stage.start(6)
  await stage.say('a.example', { standard: { ...roaming, partners: ['b.example' as OperatorId] } })
  await stage.say('b.example', { takes: ['a.example' as OperatorId] })
  await stage.pass(20_000)
  const phone = stage.phone('phone', { operators: ['a.example'] })
  await stage.pass(minuteMs)
  const server = phone.at()
  assert.ok(
    stage.federation
      .serversOf(stage.federation.operator('a.example'))
      .some(each => each.card.identity.server === server),
  )
  assert.equal(
    phone.home().policy?.partners.map(({ operator }) => operator),
    ['b.example'],
  )

  await crowd(stage)
  await stage.pass(minuteMs)
  assert.equal(phone.state(), {
    ...{ kind: 'online', operator: 'b.example', server: stage.serverId('b.example/1') },
    ...{ url: clientUrlOf(stage.federation.server('b.example/1').card), isPreferred: false },
  })
  const { session } = phone.home()
  assert.ok(session)
  const params = { commandId: 'guest-establishes-0001', alias: 'Flat', pnId: 'flat' }
  const prove = { executor: 'a.example' as OperatorId, document: 'pn/a.example/flat' as DocumentId }
  // Its operator's servers are crowded, and have some part of what is sent to them kept back: whoever is told so comes again.
  const establish = () => stage.inside(() => session.call(pnEstablish, params, { prove }).catch(error => error))
  let done = await establish()
  for (let times = 0; done instanceof RequestRefused && done.status === 503 && times < 30; times++) {
    await stage.pass(1_000)
    done = await establish()
  }
  assert.is(done.home, 'a.example', 'its own operator does it, by its own proof')
  const established = await stage.inside(() =>
    session
      .call(pnEstablish, { commandId: 'guest-establishes-0001', alias: 'Flat', pnId: 'flat' })
      .catch(error => error),
  )
  assert.is(
    established instanceof RequestRefused && established.reason,
    'ELSEWHERE',
    'what nobody can prove the host does not do',
  )
  const ticket = await stage.inside(() =>
    session.call(sessionTicket, { document: 'pn/b.example/home' as DocumentId }).catch(error => error),
  )
  assert.is((ticket as RequestRefused).status, 403)
  const policy = await stage.inside(() => session.call(policyGet, {}).catch(error => error))
  assert.is((policy as RequestRefused).status, 403, 'the host’s policy is none of its business')

  for (const { probe } of stage.federation.serversOf(stage.federation.operator('a.example'))) probe.current = calm
  stage.federation.server('a.example/1').start()
  phone.told.length = 0
  await stage.pass(15 * minuteMs)
  const state = phone.state()
  assert.is(state.kind === 'online' && state.operator, 'a.example')
  assert.not(
    phone.told.some(line => line.endsWith('connecting')),
    'it was never offline',
  )
})

test('nobody is sent to an operator that does not take it', async () => {
  const stage = await Stage.start(7)
  await stage.say('a.example', { standard: { ...roaming, partners: ['b.example' as OperatorId] } })
  const phone = stage.phone('phone', { operators: ['a.example'] })
  await stage.pass(minuteMs)
  await crowd(stage)
  await stage.pass(minuteMs)
  const state = phone.state()
  assert.ok(state.kind === 'direct' || (state.kind === 'online' && state.operator === 'a.example'), state.kind)
  assert.not(phone.told.some(line => line.includes('b.example')))
})

test.run()
