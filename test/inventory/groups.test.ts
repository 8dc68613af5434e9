/*
 * Proves: PNEs of several operators make, find, join, leave, hand over and dissolve service groups; each command is
 * decided at home, for whoever the PNE's own operator vouches for, and refused with its own code otherwise; who leaves the
 * Personal Network is in none of its groups.
 * Fails if an operator or a PNE acts for another, if a group outlives what it rests on, or if a code is another one.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Json } from '../../src/document/documents.ts'
import { asDocumentId } from '../../src/document/names.ts'
import type { CommandHandler } from '../../src/federation/federation.ts'
import { signProof } from '../../src/federation/proof.ts'
import type { GroupSearchResult, ServiceGroup } from '../../src/inventory/methods.ts'
import { until } from '../fixtures/until.ts'
import {
  a,
  answerOf,
  b,
  c,
  crypto,
  type Gateway,
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

const test = suite('service groups')
const flat = { home: a, pnId: 'flat' }
const document = asDocumentId('pn/a.example/flat')

interface Shared {
  readonly w: World
  readonly hub: Gateway
  readonly lamp: Pne
  readonly clock: Pne
  readonly radio: Pne
}

/** PN `flat` at a.example, with lamp and clock of A and radio of B registered in it. */
async function shared(counts: Record<string, number> = { [a]: 1, [b]: 1 }, limits = {}): Promise<Shared> {
  const w = await world(counts, limits)
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'clock')
  subscribe(w, b, 'radio', 'eve')
  const [lamp, clock, radio] = [new Pne(a, 'lamp'), new Pne(a, 'clock'), new Pne(b, 'radio')]
  await hub.update('add', [lamp.name, clock.name, radio.name])
  await grant(w, 'flat', b)
  await w.replicate()
  for (const pne of [lamp, clock, radio]) {
    await pne.register(hub)
    await pne.confirm(hub)
    await w.replicate()
  }
  return { w, hub, lamp, clock, radio }
}

/** What a PNE asks of its own operator's server. */
const as = <T = { group: ServiceGroup }>(at: World | Server, pne: Pne, method: string, params: object = {}) => {
  const server = 'at' in at ? at.at(pne.operator) : at
  const id = method === 'group.key' ? {} : { commandId: newId() }
  return server.call<T>(method, { ...id, ...flat, pne: pne.name, ...params }, pne.pneId)
}

const music = { name: 'Music', keywords: ['audio'], service: { serviceId: 'music.1', serviceName: 'Everywhere' } }

async function created(w: World, pne: Pne, params: object = {}): Promise<string> {
  const { group } = await as(w, pne, 'group.create', { ...music, ...params })
  await w.replicate()
  return group.groupId
}

const membersOf = ({ members }: ServiceGroup) => members.map(({ pneId }) => pneId)

/** The groups as both operators see them, which must be the same. */
async function groupsAt({ w, lamp, radio }: Shared, params: object = {}): Promise<readonly ServiceGroup[]> {
  await w.replicate()
  const find = (pne: Pne) =>
    w.at(pne.operator).call<{ groups: ServiceGroup[] }>('group.find', { ...flat, ...params }, pne.pneId)
  const [atA, atB] = [await find(lamp), await find(radio)]
  assert.equal(atA, atB)
  return atA.groups
}

test('a group is created, found, joined by a PNE of another operator, left and dissolved', async () => {
  const s = await shared()
  const { w, lamp, radio, clock } = s
  const groupId = await created(w, lamp)
  const { group } = await as(w, radio, 'group.join', { groupId })
  assert.equal(membersOf(group), ['lamp', 'radio'])
  assert.equal([group.owner, group.joining, group.history], [lamp.name, 'open', 'closed'])
  assert.equal(await groupsAt(s), [group])

  const { group: left } = await as(w, radio, 'group.leave', { groupId })
  assert.equal(membersOf(left), ['lamp'])
  await as(w, clock, 'group.join', { groupId })
  await as(w, lamp, 'group.dissolve', { groupId })
  assert.equal(await groupsAt(s), [])
  assert.is(await refusalOf(as(w, radio, 'group.join', { groupId })), '410 GROUP_DISSOLVED')
  assert.equal(await as(w, lamp, 'group.dissolve', { groupId }), {}, 'dissolved again, it has happened once')
  const written = [...(await w.at(a).documents.read(document)).entries('group')].filter(
    ([, { value }]) => value !== null,
  )
  assert.equal(written, [], 'nothing of it is left')
  await w.stop()
})

test('a command repeated, here or at another server, makes one group', async () => {
  const { w, lamp } = await shared({ [a]: 2, [b]: 1 })
  const params = { ...music, commandId: newId(), time: w.clock.now() }
  const first = await as(w, lamp, 'group.create', params)
  assert.equal(await as(w, lamp, 'group.create', params), first)
  const other = await as(w.at(a, 1), lamp, 'group.create', params)
  assert.is(other.group.groupId, first.group.groupId)
  await w.replicate()
  assert.equal((await w.at(a).call<{ groups: unknown[] }>('group.find', flat, 'alice')).groups.length, 1)
  assert.is(await refusalOf(as(w, lamp, 'group.create', { ...params, name: 'Other' })), '409 COMMAND_REUSED')
  await w.stop()
})

test('found by keyword, by service, and by what a PNE is and has', async () => {
  const s = await shared()
  const { w, lamp } = s
  await created(w, lamp)
  await created(w, lamp, { name: 'Film', keywords: [], service: { serviceId: 'film', serviceName: 'Cinema' } })
  await created(w, lamp, { name: 'Doors', requirement: { mode: 'PNE', capabilities: ['camera'] } })
  const names = async (params: object) => (await groupsAt(s, params)).map(({ name }) => name).sort()
  assert.equal(await names({}), ['Doors', 'Film', 'Music'])
  assert.equal(await names({ keyword: 'AUDIO' }), ['Doors', 'Music'])
  assert.equal(await names({ keyword: 'cine' }), ['Film'])
  assert.equal(await names({ serviceId: 'film' }), ['Film'])
  assert.equal(await names({ meets: { mode: 'PN_GW', capabilities: ['camera'] } }), ['Film', 'Music'])
  assert.equal(await names({ meets: { mode: 'BOTH', capabilities: ['camera'] }, keyword: 'doors' }), ['Doors'])
  assert.equal(await names({ meets: {} }), ['Film', 'Music'])
  assert.is(await refusalOf(w.at(b).call('group.find', flat, 'eve')), '403 NOT_AUTHORISED')
  assert.is(await refusalOf(w.at(a).call('group.find', { home: a, pnId: 'other' }, 'lamp')), '404 PN_UNKNOWN')
  await w.stop()
})

test('a search goes over every PN that the caller may read and over no other, page by page', async () => {
  const { w, lamp, hub } = await shared()
  for (let n = 0; n < 4; n++) {
    const pnId = `more-${n}`
    await hub.server.call('pn.establish', { commandId: newId(), alias: 'More', pnId }, 'alice')
    await hub.server.call('gateway.attach', { commandId: newId(), home: a, pnId, gatewayId: 'hub' }, 'alice')
    const pnes = [lamp.name]
    if (n !== 2) {
      const add = { commandId: newId(), home: a, pnId, operation: 'add', pnes }
      await hub.server.call('pn.update', add, 'alice')
      const there = Object.assign(Object.create(hub), { pnId })
      const again = new Pne(a, 'lamp')
      await again.register(there)
      await again.confirm(there)
      await as(w, lamp, 'group.create', { ...music, pnId })
    }
  }
  await created(w, lamp)
  const found: string[] = []
  let pages = 0
  for (let after: string | undefined; ; pages++) {
    const params = { serviceId: 'music.1', limit: 2, ...(after && { after }) }
    const page = await w.at(a).call<GroupSearchResult>('group.search', params, 'lamp')
    found.push(...page.groups.map(({ pnId }) => pnId))
    after = page.next
    if (!after) break
  }
  assert.equal(found, ['flat', 'more-0', 'more-1', 'more-3'])
  assert.ok(pages >= 1)
  const strangers = await w.at(a).call<GroupSearchResult>('group.search', {}, 'clock')
  assert.equal(
    strangers.groups.map(({ pnId }) => pnId),
    ['flat'],
  )
  await w.stop()
})

test('who leaves the PN leaves its groups at once, and is in none of them when it comes back', async () => {
  const s = await shared()
  const { w, hub, lamp, radio } = s
  const groupId = await created(w, lamp)
  await as(w, radio, 'group.join', { groupId })
  await hub.update('remove', [radio.name])
  assert.equal((await groupsAt({ ...s, radio: lamp })).map(membersOf), [['lamp']])
  assert.is(await refusalOf(as(w, radio, 'group.join', { groupId })), '409 NOT_MEMBER')

  await hub.update('add', [radio.name])
  await w.replicate()
  assert.is(await refusalOf(as(w, radio, 'group.join', { groupId })), '409 NOT_REGISTERED')
  await radio.register(hub)
  await radio.confirm(hub)
  assert.equal((await groupsAt(s)).map(membersOf), [['lamp']])
  await as(w, radio, 'group.join', { groupId })
  assert.equal((await groupsAt(s)).map(membersOf), [['lamp', 'radio']])
  await w.stop()
})

test('who is away for good counts no longer, until it registers again', async () => {
  const { w, hub, lamp, clock } = await shared()
  const groupId = await created(w, lamp)
  await as(w, clock, 'group.join', { groupId })
  w.clock.advance(80_000_000)
  await lamp.register(hub)
  await lamp.confirm(hub)
  w.clock.advance(6_400_000)
  const find = async () => (await w.at(a).call<{ groups: ServiceGroup[] }>('group.find', flat, 'lamp')).groups
  assert.equal((await find()).map(membersOf), [['clock', 'lamp']], 'late is not away')
  w.clock.advance(3_600_000)
  assert.equal((await find()).map(membersOf), [['lamp']])
  await clock.register(hub)
  await clock.confirm(hub)
  assert.equal((await find()).map(membersOf), [['clock', 'lamp']])
  await w.stop()
})

test('a requirement is met by what the registration says', async () => {
  const { w, hub, lamp, radio } = await shared()
  const needs = (requirement: object) => as(w, lamp, 'group.create', { ...music, requirement })
  assert.is(await refusalOf(needs({ mode: 'PN_GW' })), '403 REQUIREMENT_NOT_MET')
  assert.is(await refusalOf(needs({ capabilities: ['wings'] })), '403 REQUIREMENT_NOT_MET')
  assert.is(await refusalOf(needs({ services: ['paid'] })), '403 REQUIREMENT_NOT_MET')
  const groupId = await created(w, lamp, { requirement: { mode: 'PNE', capabilities: ['camera'] } })
  assert.equal(membersOf((await as(w, radio, 'group.join', { groupId })).group), ['lamp', 'radio'])

  lamp.content = { ...lamp.content, services: ['paid'] }
  await lamp.register(hub)
  await lamp.confirm(hub)
  const paid = (await needs({ services: ['paid'] })).group.groupId
  assert.is(await refusalOf(as(w, radio, 'group.join', { groupId: paid })), '403 REQUIREMENT_NOT_MET')
  await w.stop()
})

test('a group by invitation takes who was invited, once, before it expires', async () => {
  const { w, lamp, clock, radio } = await shared()
  const groupId = await created(w, lamp, { joining: 'invited' })
  const invite = (pne: Pne, invitee: Pne, ms = 1_000) =>
    as(w, pne, 'group.invite', { groupId, invitee: invitee.name, expires: w.clock.now() + ms })
  const join = (pne: Pne) => as(w, pne, 'group.join', { groupId })

  assert.is(await refusalOf(join(radio)), '403 NOT_INVITED')
  assert.is(await refusalOf(invite(radio, clock)), '403 NOT_GROUP_OWNER')
  assert.is(await refusalOf(invite(lamp, lamp)), '409 GROUP_MEMBER_EXISTS')
  assert.is(await refusalOf(invite(lamp, new Pne(b, 'eve'))), '409 NOT_MEMBER')
  assert.is(await refusalOf(invite(lamp, radio, 0)), '400 MALFORMED')
  await invite(lamp, radio)
  w.clock.advance(1_000)
  assert.is(await refusalOf(join(radio)), '403 NOT_INVITED', 'it has expired')
  await invite(lamp, radio)
  assert.equal(membersOf((await join(radio)).group), ['lamp', 'radio'])
  await as(w, lamp, 'group.leave', { groupId, member: radio.name })
  assert.is(await refusalOf(join(radio)), '403 NOT_INVITED', 'an invitation is good once')

  await invite(lamp, clock)
  const shownOut = { commandId: newId(), ...flat, groupId, member: clock.name }
  await w.at(a).call('group.leave', shownOut, 'alice')
  assert.is(await refusalOf(join(clock)), '403 NOT_INVITED')
  await w.stop()
})

test('the owner offers, the candidate accepts or refuses; an offer lapses, is taken back, or is replaced', async () => {
  const s = await shared()
  const { w, lamp, radio, clock } = s
  const groupId = await created(w, lamp)
  const reason = 'Goes on a journey.'
  const offer = (by: Pne, candidate: Pne, more: object = {}) =>
    as<{ transfer: string; expires: number }>(w, by, 'group.transfer', {
      groupId,
      candidate: candidate.name,
      reason,
      ...more,
    })
  const answer = (pne: Pne, transfer: string, accept: boolean) =>
    as(w, pne, 'group.answer', { groupId, transfer, accept })

  assert.is(await refusalOf(offer(lamp, radio)), '403 NOT_GROUP_MEMBER', 'a candidate is a member')
  await as(w, radio, 'group.join', { groupId })
  await as(w, clock, 'group.join', { groupId })
  assert.is(await refusalOf(offer(radio, clock)), '403 NOT_GROUP_OWNER')
  assert.is(await refusalOf(offer(lamp, lamp)), '400 MALFORMED')
  assert.is(await refusalOf(offer(lamp, radio, { expires: w.clock.now() })), '400 MALFORMED')

  const first = await offer(lamp, radio)
  assert.equal((await groupsAt(s))[0]?.offer, { ...first, to: radio.name, reason })
  assert.is(await refusalOf(answer(clock, first.transfer, true)), '403 NOT_CANDIDATE')
  assert.is(await refusalOf(answer(lamp, first.transfer, true)), '403 NOT_CANDIDATE', 'nobody accepts for another')
  assert.is((await answer(radio, first.transfer, false)).group.offer, undefined)
  assert.is(await refusalOf(answer(radio, first.transfer, true)), '404 TRANSFER_UNKNOWN')

  const lapsing = await offer(lamp, radio, { expires: w.clock.now() + 5 })
  w.clock.advance(5)
  assert.is(await refusalOf(answer(radio, lapsing.transfer, true)), '404 TRANSFER_UNKNOWN')
  const taken = await offer(lamp, radio)
  await answer(lamp, taken.transfer, false)
  assert.is(await refusalOf(answer(radio, taken.transfer, true)), '404 TRANSFER_UNKNOWN')
  const replaced = await offer(lamp, clock)
  const last = await offer(lamp, radio)
  assert.is(await refusalOf(answer(clock, replaced.transfer, true)), '404 TRANSFER_UNKNOWN')
  const { group } = await answer(radio, last.transfer, true)
  assert.equal([group.owner, group.contested, group.offer], [radio.name, [], undefined])
  assert.equal(
    (await answer(radio, last.transfer, true)).group.owner,
    radio.name,
    'accepted again, it has happened once',
  )
  assert.is(await refusalOf(as(w, lamp, 'group.dissolve', { groupId })), '403 NOT_GROUP_OWNER')
  assert.is(await refusalOf(as(w, radio, 'group.leave', { groupId })), '409 GROUP_OWNER_LEAVES')
  await as(w, radio, 'group.dissolve', { groupId })
  await w.stop()
})

test('an administrator of the PN supervises its groups, though it is no PNE', async () => {
  const s = await shared()
  const { w, hub, lamp, radio, clock } = s
  const groupId = await created(w, lamp)
  await as(w, radio, 'group.join', { groupId })
  await as(w, clock, 'group.join', { groupId })
  const alice = <T = { group: ServiceGroup }>(method: string, params: object) =>
    w.at(a).call<T>(method, { commandId: newId(), ...flat, groupId, ...params }, 'alice')
  assert.is(await refusalOf(alice('group.leave', {})), '400 MALFORMED')
  assert.equal(membersOf((await alice('group.leave', { member: clock.name })).group), ['lamp', 'radio'])

  await hub.update('remove', [lamp.name])
  await w.replicate()
  const { transfer } = await alice<{ transfer: string }>('group.transfer', {
    candidate: radio.name,
    reason: 'The owner is gone.',
  })
  const { group } = await as(w, radio, 'group.answer', { groupId, transfer, accept: true })
  assert.equal([group.owner, membersOf(group)], [radio.name, ['radio']])

  w.clock.advance(1)
  const params = { commandId: newId(), time: w.clock.now(), ...flat, groupId }
  const fields = {
    operator: a,
    identity: 'alice',
    executor: a,
    document,
    commandId: params.commandId,
    expires: w.clock.now() + 60_000,
  }
  const proof = signProof(fields, 'group.dissolve', params, { kind: 'psk', secret: keyOf(a, 'alice') }, crypto)
  const principal = { operator: a, identity: 'alice' }
  assert.is(await refusalOf(w.at(b).call('group.dissolve', params, principal)), '403 ELSEWHERE')
  assert.equal(await w.at(b).call('group.dissolve', params, principal, proof), {})
  await w.stop()
})

test('an administrator that is another operator’s PNE supervises them by way of its own', async () => {
  const s = await shared()
  const { w, lamp, radio, clock } = s
  const groupId = await created(w, lamp)
  await as(w, clock, 'group.join', { groupId })
  const showOut = () => as(w, radio, 'group.leave', { groupId, member: clock.name })
  assert.is(await refusalOf(showOut()), '403 NOT_GROUP_OWNER')
  await w.at(a).call('pn.admin', { commandId: newId(), ...flat, operation: 'assign', pne: radio.name }, 'alice')
  await w.replicate()
  assert.equal(membersOf((await showOut()).group), ['lamp'])
  await as(w, radio, 'group.dissolve', { groupId })
  assert.equal(await groupsAt(s), [])
  await w.stop()
})

test('a PNE acts for itself, an operator for its own PNEs', async () => {
  const { w, lamp, radio } = await shared({ [a]: 1, [b]: 1, [c]: 1 })
  const groupId = await created(w, lamp)
  const params = { commandId: newId(), ...flat, groupId }
  w.wire.length = 0
  assert.is(await refusalOf(w.at(b).call('group.join', { ...params, pne: radio.name }, 'eve')), '403 NOT_ITSELF')
  assert.is(await refusalOf(w.at(a).call('group.dissolve', { ...params, pne: lamp.name }, 'clock')), '403 NOT_ITSELF')
  const away = { operator: a, identity: 'lamp' }
  assert.is(await refusalOf(w.at(b).call('group.dissolve', { ...params, pne: lamp.name }, away)), '403 ELSEWHERE')
  assert.is(
    await refusalOf(w.at(c).call('group.join', { ...params, pne: { operator: c, pneId: 'x' } }, 'x')),
    '404 PN_UNKNOWN',
  )
  assert.equal(w.wire, [], 'nothing was sent')

  const handle = (method: string, given: Json) =>
    answerOf(w.at(a).handlers.get(method) as CommandHandler, { method, params: given }, w.at(b))
  const refused = [
    await handle('group.join', { ...params, pne: lamp.name }),
    await handle('group.dissolve', { ...params, pne: lamp.name }),
    await handle('group.dissolve', params),
    await handle('group.dissolve', { ...params, pne: radio.name }),
    await handle('group.join', { ...params, pne: { operator: b, pneId: 'eve' } }),
  ]
  assert.equal(
    refused.map(answer => !answer.ok && `${answer.status} ${answer.cause}`),
    ['403 NOT_ITSELF', '403 NOT_ITSELF', '403 NOT_AUTHORISED', '403 NOT_GROUP_OWNER', '503 NOT_YET'],
  )
  await w.stop()
})

test('there are as many groups and members as may be', async () => {
  const { w, hub, lamp, radio, clock } = await shared(undefined, { maxGroups: 2, maxGroupMembers: 2 })
  const groupId = await created(w, lamp)
  await created(w, lamp)
  assert.is(await refusalOf(as(w, lamp, 'group.create', music)), '409 LIMIT')
  const invite = (pne: Pne, expires: number) =>
    as<unknown>(w, lamp, 'group.invite', { groupId, invitee: pne.name, expires })
  const wasp = new Pne(a, 'wasp')
  await hub.update('add', [wasp.name])
  await invite(radio, w.clock.now() + 5)
  await invite(clock, w.clock.now() + 50)
  await invite(clock, w.clock.now() + 60)
  assert.is(await refusalOf(invite(wasp, w.clock.now() + 50)), '409 LIMIT')
  w.clock.advance(5)
  await invite(wasp, w.clock.now() + 50)
  const invites = [...(await w.at(a).documents.read(document)).entries('group-invite/')]
  assert.is(invites.filter(([, { value }]) => value !== null).length, 2, 'what has expired makes room')

  await as(w, radio, 'group.join', { groupId })
  assert.is(await refusalOf(as(w, clock, 'group.join', { groupId })), '409 LIMIT')
  await w.stop()
})

test('a group ends with its PN, and one established anew has none of the old', async () => {
  const s = await shared()
  const { w, hub, lamp, radio } = s
  const groupId = await created(w, lamp)
  await w.at(a).call('pn.release', { commandId: newId(), ...flat }, 'alice')
  await w.replicate()
  assert.is(await refusalOf(as(w, radio, 'group.join', { groupId })), '410 PN_RELEASED')
  assert.is(await refusalOf(as(w, lamp, 'group.create', music)), '410 PN_RELEASED')

  await w.at(a).call('pn.establish', { commandId: newId(), alias: 'Flat again', pnId: 'flat' }, 'alice')
  await hub.attach()
  await hub.update('add', [lamp.name])
  await lamp.register(hub)
  await lamp.confirm(hub)
  assert.is(await refusalOf(as(w, lamp, 'group.join', { groupId })), '404 GROUP_UNKNOWN')
  const anew = await created(w, lamp)
  const ids = [...(await w.at(a).documents.read(document)).entries('group/')]
    .filter(([, { value }]) => value !== null)
    .map(([key]) => key)
  assert.equal(ids, [`group/${anew}`], 'the old one was cleared away')
  await w.stop()
})

test('who is expected to act is told, wherever it is attached', async () => {
  const { w, lamp, radio, clock } = await shared()
  const heard: unknown[] = []
  w.at(b).inventory.attached.enter({ operator: b, identity: 'radio' }, (...said) => heard.push(said))
  w.at(a).inventory.attached.enter({ operator: a, identity: 'clock' }, (...said) => heard.push(said))
  const groupId = await created(w, lamp, { joining: 'invited' })
  const expires = w.clock.now() + 1_000
  for (const { name } of [radio, clock]) await as(w, lamp, 'group.invite', { groupId, invitee: name, expires })
  await as(w, radio, 'group.join', { groupId })
  const { transfer } = await as<{ transfer: string }>(w, lamp, 'group.transfer', {
    groupId,
    candidate: radio.name,
    reason: '',
  })
  await until(() => heard.length === 3, { what: 'all three are told' })
  const about = { ...flat, groupId }
  const invited = ['group.invited', about]
  assert.equal(
    heard.filter(said => JSON.stringify(said) === JSON.stringify(invited)),
    [invited, invited],
  )
  assert.equal(heard.at(-1), ['group.offered', { ...about, transfer }])
  await w.stop()
})

test('with the home out of reach a PNE of another operator is told so', async () => {
  const { w, lamp, radio } = await shared()
  const groupId = await created(w, lamp)
  w.cut(a, b)
  assert.is(await refusalOf(as(w, radio, 'group.join', { groupId })), '423 OWNER_UNREACHABLE')
  await w.stop()
})

test.run()
