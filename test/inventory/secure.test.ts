import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { utf8 } from '../../src/commands/framing.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { signProof } from '../../src/federation/proof.ts'
import type { GroupKeyResult, Inventory, ServiceGroup } from '../../src/inventory/methods.ts'
import { ofClient, openFrame } from '../../src/inventory/secure/keys.ts'
import { defaultSecureLimits, type SecureLimits } from '../../src/inventory/secure/limits.ts'
import { encodeCall, parseNotice } from '../../src/inventory/secure/messages.ts'
import {
  type SecureNoticeParams,
  type SecureNoticesResult,
  type SecureOpenResult,
  secureNotice,
} from '../../src/inventory/secure/methods.ts'
import type { OperatorId } from '../../src/ports/names.ts'
import { established, openingOf, openSession, type SecurePne } from './secure-pne.ts'
import {
  a,
  answerOf,
  b,
  clientCrypto,
  crypto,
  Gateway,
  grant,
  homeNetwork,
  keyOf,
  newId,
  Pne,
  refusalOf,
  type Server,
  subscribe,
  type World,
  world,
} from './world.ts'

/*
 * Secure sessions at the server: who may open one, what is executed in it and how often, and how it ends. It fails if a frame
 * is executed twice, if a session outlives its registration, if any server of the operator cannot go on where another one
 * ended, or if somebody else's openings or made-up names take a session's place.
 */
const test = suite('secure sessions')

const flat = { home: a, pnId: 'flat' }

interface Scene {
  readonly w: World
  readonly hub: Gateway
  /** Registered and confirmed at the hub. */
  readonly lamp: Pne
}

async function registered(w: World, gateway: Gateway, operator: OperatorId, pneId: string): Promise<Pne> {
  subscribe(w, operator, pneId)
  const pne = new Pne(operator, pneId)
  await pne.register(gateway)
  await pne.confirm(gateway)
  return pne
}

async function scene(secure: Partial<SecureLimits> = {}, servers = 1): Promise<Scene> {
  const w = await world({ [a]: servers }, { secure: { ...defaultSecureLimits, ...secure } })
  const hub = await homeNetwork(w)
  await hub.update('add', [{ operator: a, pneId: 'lamp' }])
  const lamp = await registered(w, hub, a, 'lamp')
  await w.replicate()
  return { w, hub, lamp }
}

/** How often a server has executed a method. */
function executions(server: Server, method: string): () => number {
  const command = server.inventory.commands.find(({ spec }) => spec.method === method)
  assert.ok(command)
  const { execute } = command
  let count = 0
  Object.assign(command, {
    execute: (...input: Parameters<typeof execute>) => {
      count += 1
      return execute(...input)
    },
  })
  return () => count
}

const refusalInside = (session: SecurePne, method: string, params: object): Promise<string> =>
  session.call(method, params).then(
    () => 'not refused',
    (error: Error) => error.message,
  )
const worksIn = async (session: SecurePne) => (await session.call<Inventory>('pn.inventory', flat)).pnId === 'flat'

test('a registered PNE calls ordinary commands, as itself', async () => {
  const { w, hub, lamp } = await scene()
  const session = await openSession(lamp, hub)
  const inventory = await session.call<Inventory>('pn.inventory', flat)
  assert.equal(
    inventory.members.map(({ pneId, state }) => `${pneId} ${state}`),
    ['lamp active'],
  )
  const given = { commandId: newId(), alias: 'Its own', pnId: 'own' }
  await session.call('pn.establish', given)
  assert.is((await w.at(a).inventoryOf(a, 'own')).owner, 'lamp')
  assert.is(await refusalInside(session, 'pn.release', { commandId: newId(), ...flat }), '403 NOT_AUTHORISED')
  await w.stop()
})

test('what is asked inside is refused there, with the codes that it has outside', async () => {
  const { w, hub, lamp } = await scene()
  const session = await openSession(lamp, hub)
  assert.is(await refusalInside(session, 'pn.inventory', { ...flat, pnId: 'other' }), '404 PN_UNKNOWN')
  assert.is(await refusalInside(session, 'pn.inventory', {}), '400 MALFORMED')
  assert.is(await refusalInside(session, 'pn.nothing', {}), '404 METHOD_UNKNOWN')
  assert.is(await refusalInside(session, 'secure.send', {}), '404 METHOD_UNKNOWN', 'no session in a session')
  assert.is(await refusalInside(session, 'secure.notices', { after: -1 }), '400 MALFORMED')
  for (const plaintext of [utf8('{'), utf8('[]'), encodeCall(99, { method: 'pn.inventory', params: flat })]) {
    const frame = await session.sealBytes(plaintext)
    const outcome = await session.open(frame, await session.send(frame))
    assert.is('error' in outcome && outcome.error.data?.reason, 'MALFORMED')
  }
  assert.ok(await worksIn(session))
  await w.stop()
})

test('a frame that is sent again gets the answer that it got, and is executed once', async () => {
  const { w, hub, lamp } = await scene()
  const count = executions(w.at(a), 'pn.inventory')
  const session = await openSession(lamp, hub)
  const frame = await session.seal('pn.inventory', flat)
  const [first, beside] = await Promise.all([session.send(frame), session.send(frame)])
  const answer = await session.open(frame, first)
  assert.ok('result' in answer)
  assert.equal(beside, first, 'also while it is being executed')
  await session.call('pn.inventory', flat)
  assert.equal(await session.send(frame), first)
  assert.is(count(), 2)
  await w.stop()
})

test('frames may overtake one another, but not by more than the window; an answer is kept as long as there is room', async () => {
  const { w, hub, lamp } = await scene({ keptAnswerBytes: 1 })
  const count = executions(w.at(a), 'pn.inventory')
  const session = await openSession(lamp, hub)
  const frames = await Promise.all(Array.from({ length: 66 }, () => session.seal('pn.inventory', flat)))
  const [tooLate, late, ...others] = frames
  assert.ok(tooLate && late)
  const last = others.at(-1)
  assert.ok(last)
  await session.send(last)
  await session.send(others[0] ?? last)
  assert.is(await refusalOf(session.send(tooLate)), '409 FRAME_REPLAYED')
  assert.is(await refusalOf(session.send(last)), '409 FRAME_REPLAYED', 'its answer made room for the next')
  assert.is(count(), 2)
  await w.stop()
})

test('keys change without interruption, and keys that were used enough are refused', async () => {
  const limits = { phaseFrames: 3, phaseMs: 60_000, phaseBytes: 20_000 }
  const { w, hub, lamp } = await scene(limits)
  const session = await openSession(lamp, hub)
  const early = await session.seal('pn.inventory', flat)
  await session.rekey()
  assert.ok(await worksIn(session))
  assert.is(await session.send(early).then(() => 'taken'), 'taken', 'it was on its way when the keys changed')
  assert.ok(await worksIn(session))
  assert.ok(await worksIn(session))
  assert.is(await refusalOf(session.ask('pn.inventory', flat)), '409 REKEY_NEEDED', 'frames')
  await session.rekey()
  assert.ok(await worksIn(session))
  w.clock.advance(limits.phaseMs)
  assert.is(await refusalOf(session.ask('pn.inventory', flat)), '409 REKEY_NEEDED', 'time')
  await session.rekey()
  await session.ask('pn.nothing', { long: 'x'.repeat(limits.phaseBytes) })
  assert.is(await refusalOf(session.ask('pn.inventory', flat)), '409 REKEY_NEEDED', 'bytes')
  await session.rekey()
  await session.rekey()
  assert.is(await refusalOf(session.ask('pn.inventory', flat)), '401 FRAME_REFUSED', 'a phase that cannot be yet')
  await w.stop()
})

test('keys of the phase before are forgotten once nothing can be on its way', async () => {
  const { w, hub, lamp } = await scene()
  const session = await openSession(lamp, hub)
  const ofBefore = await session.seal('pn.inventory', flat, 200)
  await session.rekey()
  for (let counter = 0; counter <= 64; counter++) assert.ok(await worksIn(session))
  assert.is(await refusalOf(session.send(ofBefore)), '401 FRAME_REFUSED')
  await w.stop()
})

test('any server of the operator opens a session with the ticket, also after the one that had it is gone', async () => {
  const { w, hub, lamp } = await scene({}, 2)
  const session = await openSession(lamp, hub)
  assert.ok(await worksIn(session))
  const elsewhere = hub.at(w.at(a, 1))
  const frame = await session.seal('pn.inventory', flat)
  const outcome = await session.open(frame, await session.send(frame, elsewhere))
  assert.ok('result' in outcome, 'a gateway that came to another server goes on: frames find their server')

  w.cut(a, a)
  const cutOff = await session.seal('pn.inventory', flat)
  assert.is(await refusalOf(session.send(cutOff, elsewhere)), '404 SESSION_UNKNOWN', 'its server cannot be reached')
  w.join(a, a)
  assert.ok('result' in (await session.open(cutOff, await session.send(cutOff, elsewhere))))

  await w.at(a, 0).restart()
  assert.is(await refusalOf(session.send(await session.seal('pn.inventory', flat))), '404 SESSION_UNKNOWN')
  assert.ok(await worksIn(await openSession(lamp, elsewhere)), 'at another server, with the same ticket')
  assert.ok(await worksIn(await openSession(lamp, hub)), 'and at the one that began again')
  await w.stop()
})

test('a session is good at the gateway that it was opened at; at another one the PNE opens anew, without registering', async () => {
  const { w, hub, lamp } = await scene()
  await hub.update('add', [{ operator: a, pneId: 'box' }])
  subscribe(w, a, 'box')
  const box = new Gateway(w.at(a), 'box', a, 'flat', 'box')
  await box.attach()
  const session = await openSession(lamp, hub)
  const frame = await session.seal('pn.inventory', flat)
  assert.is(await refusalOf(session.send({ ...frame, gatewayId: 'box' }, box)), '404 SESSION_UNKNOWN')
  assert.is(await refusalOf(session.send(frame, box)), '403 GATEWAY_UNKNOWN')
  assert.ok(await worksIn(await openSession(lamp, box)))
  assert.ok(await worksIn(session), 'the other one goes on')
  await w.stop()
})

test('a PNE of another operator has its session with that operator, through a gateway of the home operator', async () => {
  const w = await world({ [a]: 1, [b]: 2 })
  const hub = await homeNetwork(w)
  await hub.update('add', [{ operator: b, pneId: 'radio' }])
  await grant(w, 'flat', b)
  await w.replicate()
  const radio = await registered(w, hub, b, 'radio')
  await w.replicate()
  const session = await openSession(radio, hub)
  assert.ok(await worksIn(session))
  const frame = await session.seal('pn.inventory', flat)
  const carry = w.at(b).handlers.get('server.carry')
  assert.ok(carry)
  const carried = (params: object, from: Server) =>
    answerOf(carry, { method: 'server.carry', params: { ...params } }, from).then(answer => answer.ok || answer.cause)
  assert.is(await carried(frame, w.at(a)), 'ELSEWHERE', 'only its own servers pass frames on')
  assert.is(await carried({}, w.at(b, 1)), 'MALFORMED')
  assert.is(await carried({ ...frame, pnId: 'other' }, w.at(b, 1)), 'PN_UNKNOWN')
  assert.is(await carried(frame, w.at(b, 1)), true)
  const [server] = session.opened.session.split('.')
  assert.is(w.servers.find(({ id }) => id === server)?.operator, b)
  const established = await session.call<{ home: string }>('pn.establish', { commandId: newId(), alias: 'At b' })
  assert.is(established.home, b)

  w.cut(a, b)
  assert.is(await refusalOf(session.ask('pn.inventory', flat)), '423 OWNER_UNREACHABLE')
  w.join(a, b)
  assert.ok(await worksIn(session))
  await w.at(b).restart()
  assert.is(await refusalOf(session.ask('pn.inventory', flat)), '404 SESSION_UNKNOWN', 'as the other operator says it')
  await w.stop()
})

test('a PNE proves inside its session what another operator executes, and leaves what cannot be sent', async () => {
  const w = await world({ [a]: 1, [b]: 1 })
  const hub = await homeNetwork(w)
  await hub.update('add', [
    { operator: b, pneId: 'radio' },
    { operator: b, pneId: 'box' },
  ])
  await grant(w, 'flat', b)
  await w.replicate()
  subscribe(w, b, 'box')
  const box = new Gateway(w.at(b), 'box', a, 'flat', 'box')
  await box.attach()
  const session = await openSession(await registered(w, box, b, 'radio'), box)
  const given = () => ({ commandId: newId(), time: w.clock.now(), ...flat })
  const proved = (params: ReturnType<typeof given>) => {
    const of = { operator: b, identity: 'radio', executor: a, document: asDocumentId('pn/a.example/flat') }
    const fields = { ...of, commandId: params.commandId, expires: w.clock.now() + 60_000 }
    const key = { kind: 'psk', secret: keyOf(b, 'radio') } as const
    return { ...params, commandProof: signProof(fields, 'pn.release', params, key, crypto) }
  }
  const refused = (params: object) => refusalInside(session, 'pn.release', params)
  assert.is(await refused(given()), '403 ELSEWHERE')
  assert.is(await refused(proved(given())), '403 NOT_AUTHORISED', 'the home operator has decided')
  assert.is(await refused({ ...given(), commandProof: {} }), '400 MALFORMED')
  w.cut(a, b)
  assert.is(await refused({ ...proved(given()), ifUnreachable: 'wait' }), '202 PENDING')
  await w.stop()
})

test('openings are refused that are not of this PNE, of this way, of now', async () => {
  const { w, hub, lamp } = await scene()
  const open = async (more: object, gateway = hub) =>
    refusalOf(hub.server.call('secure.open', await openingOf(lamp, gateway, more), gateway.identity))
  assert.is(await open({ ticket: 'AAAA' }), '401 TICKET_UNKNOWN')
  const flipped = (lamp.answer?.ticket ?? '').replace(/.$/, last => (last === 'A' ? 'Q' : 'A'))
  assert.is(await open({ ticket: flipped }), '401 TICKET_UNKNOWN')
  assert.is(await open({ proof: 'A'.repeat(43) }), '401 AUTH_FAILED')
  assert.is(await open({ pnId: 'other' }), '404 PN_UNKNOWN')
  assert.is(await open({ gatewayId: 'other' }), '403 GATEWAY_UNKNOWN')
  assert.is(await open({ operator: b }), '403 NO_GRANT')

  await w.at(a).call('pn.establish', { commandId: newId(), alias: 'Shed', pnId: 'shed' }, 'alice')
  const shed = new Gateway(w.at(a), 'alice', a, 'shed', 'hub')
  await shed.attach()
  assert.is(await open({}, shed), '401 TICKET_UNKNOWN', 'a ticket is good in its PN')
  assert.is(await open({ pneId: 'fan' }), '401 TICKET_UNKNOWN', 'and for its PNE')
  assert.is(await open({ transaction: newId() }), '401 TICKET_UNKNOWN', 'and its registration')

  for (let failures = 1; failures < 10; failures++) await open({ proof: 'A'.repeat(43) })
  assert.is(await open({}), '429 RATE_LIMITED', 'also with the right proof, until the window ends')
  w.clock.advance(60_000)
  assert.is(await open({}), 'not refused')
  for (let opened = 0; opened < 40; opened++) await open({})
  assert.is(await open({}), '429 RATE_LIMITED', 'asked too often')
  await w.stop()
})

test('a session rests on a registration that holds: none is opened without, and none outlives it', async () => {
  const { w, hub, lamp } = await scene({ idleMs: 7 * 86_400_000 })
  const opens = async (pne: Pne) => refusalOf(openSession(pne, hub))
  const session = await openSession(lamp, hub)
  assert.ok(await worksIn(session))

  subscribe(w, a, 'fan')
  const fan = new Pne(a, 'fan')
  await hub.update('add', [fan.name])
  await fan.register(hub)
  assert.is(await opens(fan), '409 NOT_CONFIRMED')
  w.clock.advance(120_000)
  assert.is(await opens(fan), '409 EXPIRED')

  const before = { ...lamp }
  const newer = await registered(w, hub, a, 'lamp')
  assert.is(await refusalOf(session.ask('pn.inventory', flat)), '409 SUPERSEDED')
  assert.is(await refusalOf(session.ask('pn.inventory', flat)), '404 SESSION_UNKNOWN', 'it has ended')
  assert.is(await opens(Object.assign(new Pne(a, 'lamp'), before)), '409 SUPERSEDED')

  const second = await openSession(newer, hub)
  await hub.update('remove', [newer.name])
  assert.is(await refusalOf(second.ask('pn.inventory', flat)), '409 NOT_MEMBER')
  assert.is(await opens(newer), '409 NOT_MEMBER')
  await hub.update('add', [newer.name])
  assert.is(await opens(newer), '409 SUPERSEDED', 'what was registered before a removal does not count after it')

  const third = await registered(w, hub, a, 'lamp')
  const last = await openSession(third, hub)
  assert.ok(await worksIn(last))
  w.clock.advance(86_400_000)
  assert.is(await refusalOf(last.ask('pn.inventory', flat)), '409 EXPIRED')
  assert.is(await opens(third), '409 EXPIRED')

  const ending = await registered(w, hub, a, 'lamp')
  const goesOn = await openSession(ending, hub)
  await ending.refresh(hub, w.clock.now())
  assert.ok(await worksIn(goesOn), 'a refreshed registration is the same')
  await goesOn.call('pne.deregister', await ending.deregisterParams(hub, w.clock.now()))
  assert.is(await refusalOf(goesOn.ask('pn.inventory', flat)), '409 DEREGISTERED')
  assert.is(await opens(ending), '409 DEREGISTERED')

  const fourth = await registered(w, hub, a, 'lamp')
  const open = await openSession(fourth, hub)
  await w.at(a).call('pn.release', { commandId: newId(), ...flat }, 'alice')
  assert.is(await refusalOf(open.ask('pn.inventory', flat)), '410 PN_RELEASED')
  assert.is(await opens(fourth), '410 PN_RELEASED')
  await w.stop()
})

test('a server that does not know of the registration yet says so, and opens once it does', async () => {
  const w = await world({ [a]: 2 })
  const hub = await homeNetwork(w)
  await hub.update('add', [{ operator: a, pneId: 'lamp' }])
  await w.replicate()
  const lamp = await registered(w, hub, a, 'lamp')
  const elsewhere = hub.at(w.at(a, 1))
  assert.is(await refusalOf(openSession(lamp, elsewhere)), '404 TRANSACTION_UNKNOWN')
  await w.replicate()
  assert.ok(await worksIn(await openSession(lamp, elsewhere)))
  await w.stop()
})

test('openings without a frame displace no session in use, and are forgotten', async () => {
  const { w, hub, lamp } = await scene({ maxOfPne: 2, firstFrameMs: 30_000 })
  const used = await openSession(lamp, hub)
  assert.ok(await worksIn(used))
  const opening = await openingOf(lamp, hub)
  const answers: SecureOpenResult[] = []
  for (let repetition = 0; repetition < 6; repetition++) {
    answers.push(await hub.server.call<SecureOpenResult>('secure.open', opening, hub.identity))
  }
  assert.is(new Set(answers.map(({ session }) => session)).size, 6, 'a repeated opening is another session')
  assert.ok(await worksIn(used))
  const [first, latest] = [answers[0], answers.at(-1)]
  assert.ok(first && latest)
  assert.is(
    await refusalOf((await established(lamp, hub, opening, first)).ask('pn.inventory', flat)),
    '404 SESSION_UNKNOWN',
  )
  const other = await established(lamp, hub, opening, latest)
  const beforeLatest = await established(lamp, hub, opening, answers.at(-2) ?? latest)
  await w.clock.run(30_000)
  assert.is(await refusalOf(beforeLatest.ask('pn.inventory', flat)), '404 SESSION_UNKNOWN', 'no frame came in time')
  assert.is(await refusalOf(other.ask('pn.inventory', flat)), '404 SESSION_UNKNOWN')

  const third = await openSession(lamp, hub)
  assert.ok(await worksIn(third))
  const fourth = await openSession(lamp, hub)
  assert.ok(await worksIn(fourth))
  assert.is(
    await refusalOf(used.ask('pn.inventory', flat)),
    '404 SESSION_UNKNOWN',
    'the oldest of three in use gives way',
  )
  assert.ok(await worksIn(third))
  await w.stop()
})

test('a session that is silent for long, or one of too many, is forgotten; made-up names take nobody’s place', async () => {
  const { w, hub, lamp } = await scene({ maxSessions: 2, maxOfPne: 10, idleMs: 600_000 })
  const [first, second] = [await openSession(lamp, hub), await openSession(lamp, hub)]
  assert.ok((await worksIn(first)) && (await worksIn(second)))
  const frame = await first.seal('pn.inventory', flat)
  const [server] = frame.session.split('.')
  for (let number = 0; number < 20; number++) {
    const session = `${server}.${String(number).padStart(22, 'x')}`
    assert.is(await refusalOf(first.send({ ...frame, session })), '404 SESSION_UNKNOWN')
  }
  assert.ok((await worksIn(first)) && (await worksIn(second)))
  const third = await openSession(lamp, hub)
  assert.ok(await worksIn(third))
  await w.clock.run(0)
  assert.is(await refusalOf(first.ask('pn.inventory', flat)), '404 SESSION_UNKNOWN', 'the one used longest ago')
  assert.ok((await worksIn(second)) && (await worksIn(third)))
  await w.clock.run(700_000)
  assert.is(await refusalOf(second.ask('pn.inventory', flat)), '404 SESSION_UNKNOWN')
  await w.stop()
})

test('a session has so many requests under way and no more; what was refused is taken later, as it was', async () => {
  const { w, hub, lamp } = await scene({ maxInFlight: 2 })
  const session = await openSession(lamp, hub)
  const command = w.at(a).inventory.commands.find(({ spec }) => spec.method === 'pn.inventory')
  assert.ok(command)
  const { execute } = command
  const gate = Promise.withResolvers<void>()
  Object.assign(command, {
    execute: async (...input: Parameters<typeof execute>) => {
      await gate.promise
      return execute(...input)
    },
  })
  const frames = await Promise.all([1, 2, 3].map(() => session.seal('pn.inventory', flat)))
  const [one, two, three] = frames
  assert.ok(one && two && three)
  const pending = [session.send(one), session.send(two)]
  assert.is(await refusalOf(session.send(three)), '429 RATE_LIMITED')
  gate.resolve()
  for (const answer of pending) assert.ok((await answer).sealed.length > 0)
  assert.ok('result' in (await session.open(three, await session.send(three))))
  await w.stop()
})

test('a content key comes inside the session, and shows in nothing that the gateway carries', async () => {
  const w = await world({ [a]: 1, [b]: 1 })
  const hub = await homeNetwork(w)
  const elements = [{ operator: a, pneId: 'lamp' } as const, { operator: b, pneId: 'radio' } as const]
  await hub.update('add', elements)
  await grant(w, 'flat', b)
  await w.replicate()
  const pnes: Pne[] = []
  for (const { operator, pneId } of elements) pnes.push(await registered(w, hub, operator, pneId))
  await w.replicate()
  const [lamp, radio] = pnes
  assert.ok(lamp && radio)
  const [own, foreign] = [await openSession(lamp, hub), await openSession(radio, hub)]
  const service = { serviceId: 'm', serviceName: 'M' }
  const given = { commandId: newId(), ...flat, pne: lamp.name, name: 'Music', service }
  const { group } = await own.call<{ group: ServiceGroup }>('group.create', given)
  const joining = { commandId: newId(), ...flat, groupId: group.groupId, pne: radio.name }
  await foreign.call('group.join', joining)
  const keyFor = (session: SecurePne) =>
    session.call<GroupKeyResult>('group.key', { ...flat, groupId: group.groupId, pne: session.pne.name })
  const { key, generation } = await keyFor(own)
  assert.equal(await keyFor(foreign), { key, generation })
  for (const secret of [key, generation]) assert.not.ok([...lamp.relayed, ...radio.relayed].join('').includes(secret))
  await w.stop()
})

test('an answer that is too large to be carried is not half carried: the PNE is told that it was done', async () => {
  const { w, hub, lamp } = await scene()
  const session = await openSession(lamp, hub)
  const command = w.at(a).inventory.commands.find(({ spec }) => spec.method === 'pn.inventory')
  assert.ok(command)
  const { execute } = command
  Object.assign(command, { execute: async () => ({ alias: 'x'.repeat(400_000) }) })
  assert.is(await refusalInside(session, 'pn.inventory', flat), '500 ANSWER_TOO_LARGE')
  Object.assign(command, { execute })
  assert.ok(await worksIn(session))
  await w.stop()
})

test('what a PNE is told comes sealed through its gateway, and can be asked for', async () => {
  const { w, hub, lamp } = await scene({ keptNotices: 3 })
  const { attached } = w.at(a).inventory
  const pushed: SecureNoticeParams[] = []
  attached.enter({ operator: a, identity: hub.identity }, (method, params) => {
    if (method === secureNotice.method) pushed.push(secureNotice.params.parse(params))
  })
  const principal = { operator: a, identity: 'lamp' }
  const session = await openSession(lamp, hub)
  assert.not.ok(attached.has(principal), 'an opening alone may be anybody’s')
  await worksIn(session)
  assert.ok(attached.has(principal))
  for (const number of [1, 2, 3, 4]) attached.deliver(principal, 'test.told', { number })
  const { notices, missed } = await session.call<SecureNoticesResult>('secure.notices', { after: 1 })
  assert.equal(
    notices.map(({ number, params }) => [number, params]),
    [2, 3, 4].map(number => [number, { number }]),
  )
  assert.not.ok(missed)
  assert.ok((await session.call<SecureNoticesResult>('secure.notices', { after: 0 })).missed, 'the first is gone')
  await w.clock.run(0)
  assert.is(pushed.length, 4)
  assert.not.ok(JSON.stringify(pushed).includes('test.told'))
  const [first] = pushed
  assert.ok(first)
  const place = { direction: 'notice', session: first.session, counter: first.number } as const
  const opened = parseNotice(await openFrame(ofClient(clientCrypto), session.phase, place, first.sealed))
  assert.equal([opened?.method, opened?.params], ['test.told', { number: 1 }])
  await w.at(a).restart()
  await w.stop()
})

test.run()
