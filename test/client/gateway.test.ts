import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { gatewayFileStore } from '../../src/adapters/gateway-file-store.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { websocketListener } from '../../src/adapters/websocket-listener.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import { type GatewayOptions, type PnGateway, startGateway } from '../../src/client/gateway.ts'
import type { GatewayEvent } from '../../src/client/gateway-events.ts'
import { pneFacingMethods } from '../../src/client/gateway-protocol.ts'
import { StoreDamaged } from '../../src/client/keeper.ts'
import { createPne, type PersonalNetworkElement, type PneOptions } from '../../src/client/pne.ts'
import type { PneLookupFilter } from '../../src/client/pne-gateway.ts'
import { keepSession, openSession, type Session } from '../../src/client/session.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import { pnEstablish, pnInventory, pnUpdate } from '../../src/inventory/methods.ts'
import { ConnectFailed, type Socket, type SocketFactory } from '../../src/ports/client-sockets.ts'
import type { Cancel, Clock } from '../../src/ports/clock.ts'
import type { GatewayStore } from '../../src/ports/gateway-store.ts'
import type { OperatorId } from '../../src/ports/names.ts'
import { gatewayMemoryStore } from '../fixtures/gateway-memory-store.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { until } from '../fixtures/until.ts'
import { type ClientWorld, clientPorts, clientWorld, keyOf, type TestNode } from './world.ts'

/*
 * A gateway whose server is stopped and started again: what it does alone, what it keeps, and that afterwards everything
 * is as if the server had been there, unless somebody entitled to it has decided otherwise meanwhile. It fails if stale
 * knowledge is told as fresh or decides anything, if what was promised is lost or done twice, or if a gateway needs its
 * server to start.
 */
const test = suite('a gateway without its server')
let world: ClientWorld
test.after.each(() => world.stop())

const home = 'a.example' as OperatorId
const network = { home, pnId: 'flat' }
const newId = () => toBase64url(systemRandom().bytes(16))

/** A server may be away for longer than it takes a client to lose its haste. */
const longestPauseMs = 50

/** Pauses are cut short; what an answer may take is not. */
const hurried = (clock: Clock): Clock => ({
  ...clock,
  after: (ms: number, callback: () => void): Cancel => clock.after(ms < 5_000 ? Math.min(ms, 20) : ms, callback),
})
const ports = () => ({ ...clientPorts(), clock: hurried(clientPorts().clock) })

/** What a gateway of its own has around it. */
interface Around {
  /** The subscriber that it is. */
  readonly identity: string
  readonly sockets: SocketFactory
  readonly from: GatewayStore
  readonly clock: Clock
}

interface Beside {
  readonly gateway: PnGateway
  readonly events: GatewayEvent[]
  saw(type: GatewayEvent['type']): number
  pne(pneId: string, more?: Partial<PneOptions>): PersonalNetworkElement
}

/** A Personal Network with an owner, and a gateway that may start at any time. */
async function flat(store: GatewayStore = gatewayMemoryStore()): Promise<{
  readonly a: TestNode
  readonly owner: Session
  start(options?: Partial<GatewayOptions>, world?: Partial<Around>): Promise<Beside>
  members(): Promise<string[]>
}> {
  world = await clientWorld('a.example')
  const [a] = world.nodes
  assert.ok(a)
  const owner = await openSession(ports(), { ...a.identity('alice'), urls: [a.url], longestPauseMs })
  world.ends.push(() => owner.close())
  await owner.call(pnEstablish, { commandId: newId(), alias: 'Flat', pnId: 'flat' })
  await update(owner, 'add', 'box', 'watch')

  async function start(options: Partial<GatewayOptions> = {}, around: Partial<Around> = {}): Promise<Beside> {
    const { identity = 'box', sockets = clientPorts().sockets, from = store, clock = ports().clock } = around
    assert.ok(a)
    const events: GatewayEvent[] = []
    const session = await keepSession(
      { ...ports(), sockets },
      { ...a.identity(identity), urls: [a.url], longestPauseMs },
    )
    world.ends.push(() => session.close())
    const listener = websocketListener({ host: '127.0.0.1', port: 0, telemetry: new RecordingTelemetry() })
    const onEvent = (event: GatewayEvent) => void events.push(event)
    const gateway = await startGateway({ ...ports(), clock, store: from }, session, listener, {
      gatewayId: 'box-1',
      networks: [network],
      onEvent,
      ...options,
    })
    world.ends.push(() => gateway.stop())
    return {
      gateway,
      events,
      saw: type => events.filter(event => event.type === type).length,
      pne: (pneId, more = {}) =>
        createPne(ports(), {
          gatewayUrl: gateway.url(),
          ...network,
          operator: home,
          pneId,
          key: keyOf(home, pneId),
          ...more,
        }),
    }
  }
  const members = async () =>
    (await owner.call(pnInventory, network)).members.map(({ pneId, state }) => `${pneId} ${state}`).sort()
  return { a, owner, start, members }
}

const update = (owner: Session, operation: 'add' | 'remove', ...pneIds: string[]) =>
  owner.call(pnUpdate, {
    commandId: newId(),
    ...network,
    operation,
    pnes: pneIds.map(pneId => ({ operator: home, pneId })),
  })

/** Sockets that can be cut and healed, on one side of a server that others reach all the while. */
function cuttable() {
  const { sockets } = clientPorts()
  const open: Socket[] = []
  let isCut = false
  const factory: SocketFactory = {
    async connect(url, subprotocols) {
      if (isCut) throw new ConnectFailed('cut for the test')
      const socket = await sockets.connect(url, subprotocols)
      open.push(socket)
      return socket
    },
  }
  return {
    sockets: factory,
    cut() {
      isCut = true
      for (const socket of open.splice(0)) socket.close(4_139, 'cut for the test')
    },
    heal() {
      isCut = false
    },
  }
}

async function refusalOf(attempt: Promise<unknown>): Promise<RequestRefused> {
  const error = await attempt.then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.instance(error, RequestRefused)
  return error as RequestRefused
}

const connected = ({ gateway }: Beside) => until(() => gateway.state === 'connected', { what: 'it has caught up' })
const local = ({ gateway }: Beside) => until(() => gateway.state === 'local', { what: 'it notices that it is alone' })

test('pairs and tells what it knew; registers nobody; catches up, and calls who waited', async () => {
  const { a, start, members } = await flat()
  const beside = await start()
  const watch = beside.pne('watch', { capabilities: { time: 'utc' } })
  await watch.register()
  const fresh = await watch.lookup()
  assert.is(fresh.stale, false)
  assert.equal(
    fresh.members.map(({ pneId, state }) => [pneId, state]),
    [
      ['box', 'member'],
      ['watch', 'active'],
    ],
  )

  await a.down()
  await local(beside)
  const lamp = beside.pne('lamp', { capabilities: { light: 'dimmable' } })
  assert.equal(await lamp.pair(), { state: 'paired', gateway: 'local', membership: 'queued' })
  assert.equal(await lamp.pair(), { state: 'paired', gateway: 'local', membership: 'queued' })
  assert.is(beside.gateway.waiting().length, 1, 'one command, however often it pairs')
  assert.is((await watch.pair()).membership, 'member')
  const stale = await lamp.lookup({ capability: 'time' })
  assert.is(stale.stale, true)
  assert.is(stale.asOf, beside.gateway.known(network)?.asOf)
  assert.equal(
    stale.members.map(({ pneId }) => pneId),
    ['watch'],
  )
  assert.equal(
    (await watch.lookup({ capability: 'light' })).paired.map(({ pneId }) => pneId),
    ['lamp'],
    'who was paired alone is shown, and not among the members',
  )

  const { status, reason, retryAfterMs = 0 } = await refusalOf(beside.pne('lamp', { attempts: 1 }).register())
  assert.equal([status, reason, retryAfterMs > 0], [423, 'OWNER_UNREACHABLE', true])

  const waiting = [lamp.register(), beside.pne('phone').register(), watch.register()]
  await until(() => beside.gateway.waiting().length === 2, { what: 'the phone is paired, since it wants to register' })
  await a.up()
  await Promise.all(waiting)
  assert.equal(await members(), ['box member', 'lamp active', 'phone active', 'watch active'])
  assert.equal(beside.gateway.waiting(), [])
  assert.is(beside.saw('executed'), 2)
  assert.is(beside.saw('admitted'), 0, 'the admissions that waited were the only ones')
  assert.is((await lamp.lookup()).stale, false)
})

test('starts without its server, with what it knew', async () => {
  const { a, start, members } = await flat()
  const before = await start()
  await before.pne('watch').register()
  await before.pne('watch').lookup()
  await before.gateway.stop()
  await a.down()

  const beside = await start()
  assert.is(beside.gateway.state, 'local')
  const lamp = beside.pne('lamp')
  const { stale, members: shown } = await lamp.lookup()
  assert.is(stale, true)
  assert.equal(
    shown.map(({ pneId, state }) => `${pneId} ${state}`),
    ['box member', 'watch active'],
  )
  assert.is((await beside.gateway.attach(network)).alias, 'Flat', 'it is attached, as far as it knows')
  await a.up()
  await connected(beside)
  assert.equal(beside.gateway.waiting(), [])
  await lamp.register()
  assert.equal(await members(), ['box member', 'lamp active', 'watch active'])
})

test('starts without its server and without any knowledge, and pairs all the same', async () => {
  const { a, start, members } = await flat()
  await a.down()
  const beside = await start()
  const lamp = beside.pne('lamp')
  assert.is((await lamp.pair()).membership, 'queued')
  assert.is((await refusalOf(lamp.lookup())).status, 423, 'it has nothing to tell')
  const elsewhere = await refusalOf(beside.pne('lamp', { pnId: 'other' }).pair())
  assert.equal([elsewhere.status, elsewhere.reason], [404, 'PN_UNKNOWN'])
  await a.up()
  await connected(beside)
  await lamp.register()
  assert.equal(await members(), ['box member', 'lamp active', 'watch member'])
})

test('killed before it has sent what waited, and again before it has forgotten it, it has sent it once', async () => {
  await using folder = await temporaryFolder()
  const { a, start, members, owner } = await flat(gatewayFileStore(join(folder.path, 'at work')))
  const alone = await start()
  await a.down()
  await local(alone)
  const lamp = alone.pne('lamp')
  await lamp.pair()
  await alone.pne('phone').pair()
  // What a power cut leaves: the files as they are. From here on it may do what it likes.
  for (const life of ['first', 'second'])
    await cp(join(folder.path, 'at work'), join(folder.path, life), { recursive: true })
  await alone.gateway.stop()

  const sent: string[][] = []
  for (const life of ['first', 'second']) {
    const beside = await start({}, { from: gatewayFileStore(join(folder.path, life)) })
    assert.is(beside.gateway.waiting().length, 2)
    if (life === 'first') {
      assert.is(beside.gateway.state, 'local')
      await a.up()
    }
    await connected(beside)
    sent.push(beside.events.flatMap(event => (event.type === 'executed' ? [event.command.id] : [])))
    assert.is(beside.gateway.waiting().length, 0)
    if (life === 'first') await update(owner, 'remove', 'phone')
    await beside.gateway.stop()
  }
  assert.is(sent[0]?.length, 2)
  assert.equal(sent[1], sent[0], 'the same commands, in the same order')
  assert.equal(await members(), ['box member', 'lamp member', 'watch member'], 'what came between holds')
})

test('a later decision of the owner holds against an admission that waited', async () => {
  const { start, owner, members } = await flat()
  const line = cuttable()
  const beside = await start({}, line)
  line.cut()
  await local(beside)
  const lamp = beside.pne('lamp')
  assert.is((await lamp.pair()).membership, 'queued')
  await update(owner, 'add', 'lamp')
  await update(owner, 'remove', 'lamp')
  line.heal()
  await connected(beside)

  const [refused] = beside.events.filter(event => event.type === 'refused')
  assert.is(refused?.error.reason, 'OVERTAKEN')
  assert.equal(await members(), ['box member', 'watch member'])
  assert.is((await lamp.pair()).membership, 'refused')
  assert.is(
    (await refusalOf(lamp.register())).reason,
    'NOT_ADMITTED',
    'it is not proposed again behind the owner’s back',
  )
  assert.equal(await members(), ['box member', 'watch member'])
  const anew = beside.pne('lamp')
  await anew.pair()
  await anew.register()
  assert.equal(await members(), ['box member', 'lamp active', 'watch member'], 'let in anew, it is')
})

test('a device that ends its registration without a server may go: the gateway passes it on', async () => {
  const { a, start, members } = await flat()
  const beside = await start()
  const watch = beside.pne('watch')
  const registration = await watch.register()
  await a.down()
  await local(beside)
  await watch.deregister(registration)
  await watch.deregister(registration)
  assert.is(beside.gateway.waiting().length, 2, 'two that say different times')
  const third = await refusalOf(beside.pne('watch', { attempts: 1 }).deregister(registration))
  assert.equal([third.status, third.reason], [423, 'OWNER_UNREACHABLE'])
  await a.up()
  await connected(beside)
  assert.equal(await members(), ['box member', 'watch member'])
  assert.equal([beside.saw('executed'), beside.saw('refused')], [2, 0])
  await watch.register()
  assert.equal(await members(), ['box member', 'watch active'])
})

test('whoever says so in another’s name ends nothing', async () => {
  const { a, start, members } = await flat()
  const beside = await start()
  const watch = beside.pne('watch')
  const registration = await watch.register()
  await a.down()
  await local(beside)
  await watch.deregister({ ...registration, sessionKey: new Uint8Array(32) })
  await a.up()
  await connected(beside)
  assert.is(beside.saw('refused'), 1)
  assert.equal(await members(), ['box member', 'watch active'])
  assert.is((await watch.pair()).membership, 'member', 'nor is it held against it')
})

test('a gateway that was removed meanwhile loses its place, and what waited for it', async () => {
  const { start, owner, members } = await flat()
  const line = cuttable()
  const beside = await start({}, line)
  line.cut()
  await local(beside)
  await beside.pne('lamp').pair()
  await update(owner, 'remove', 'box')
  line.heal()
  await until(() => beside.saw('detached') === 1 && beside.saw('refused') === 1, { what: 'it is told' })
  assert.equal(await members(), ['watch member'])
  assert.is(beside.gateway.known(network), undefined, 'what it knew is none of its business any more')
  assert.is((await refusalOf(beside.pne('lamp').pair())).reason, 'PN_UNKNOWN')
})

test('who beside the gateway does not consent keeps devices out, with a server or without', async () => {
  const { a, start } = await flat()
  const asked: string[] = []
  const beside = await start({
    admits({ pneId }) {
      asked.push(pneId)
      return pneId !== 'toy'
    },
  })
  const toy = beside.pne('toy')
  assert.is((await refusalOf(toy.pair())).reason, 'NOT_ADMITTED')
  const lamp = beside.pne('lamp')
  assert.equal(await lamp.pair(), { state: 'paired', gateway: 'connected', membership: 'none' })
  await a.down()
  await local(beside)
  assert.is((await refusalOf(toy.register())).reason, 'NOT_ADMITTED', 'nor does it wait for the server')
  await lamp.pair()
  assert.equal(asked, ['toy', 'lamp', 'toy'], 'who was let in is known again by its secret')
  await beside.pne('lamp').pair()
  assert.equal(asked, ['toy', 'lamp', 'toy', 'lamp'], 'and who has another one is not')
})

test('of two gateways the one with the greater priority is active, until it is gone', async () => {
  const { start, owner } = await flat()
  const active = async () => {
    const { gateways } = await owner.call(pnInventory, network)
    return gateways.flatMap(({ gatewayId, zone, active }) => (active ? [`${gatewayId} ${zone}`] : [])).join()
  }
  // Heartbeats are of every few milliseconds.
  const hasty: Clock = { ...ports().clock, after: (ms, callback) => ports().clock.after(Math.min(ms, 20), callback) }
  const withIdentity = (identity: string) => ({ identity, from: gatewayMemoryStore(), clock: hasty })
  await update(owner, 'add', 'other-box')
  const porch = await start({ gatewayId: 'porch', zone: 'porch' }, withIdentity('box'))
  assert.is(await active(), 'porch porch')
  await porch.pne('watch').register()
  const hall = await start({ gatewayId: 'hall', priority: 10, zone: 'hall' }, withIdentity('other-box'))
  await until(async () => (await active()) === 'hall hall', { what: 'the greater one is active' })
  await hall.pne('lamp').register()
  await hall.pne('phone').pair()
  const around = async (filter: PneLookupFilter) => {
    const { members, paired } = await hall.pne('lamp').lookup(filter)
    return [...members, ...paired].map(({ pneId }) => pneId)
  }
  assert.equal(await around({ zone: 'porch' }), ['watch'])
  assert.equal(await around({ zone: 'hall' }), ['lamp', 'phone'])
  assert.equal(await around({ gatewayId: 'porch' }), ['watch'])
  assert.equal(await around({ zone: 'attic' }), [])

  await hall.gateway.stop()
  await until(() => porch.saw('activated') === 1, { what: 'the other one takes over' })
  assert.is(await active(), 'porch porch')
})

test('does not write over a store that it does not understand', async () => {
  const store = gatewayMemoryStore()
  await store.write('pairings', '{"pairings":[{"secretHash":7}]}')
  const { start } = await flat(store)
  const error = await start().catch((error: unknown) => error)
  assert.instance(error, StoreDamaged)
  assert.match(String(error), /"pairings"/)
  assert.is(await store.read('pairings'), '{"pairings":[{"secretHash":7}]}')
})

test('the examples of its methods are calls and answers of theirs', () => {
  for (const { method, example, params, result } of pneFacingMethods.filter(spec => spec.example)) {
    assert.ok(params.safeParse(example?.params).success, `${method} parameters`)
    assert.ok(result.safeParse(example?.result).success, `${method} result`)
  }
})

test.run()
