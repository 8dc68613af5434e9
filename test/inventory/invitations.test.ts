/*
 * Proves: a subscriber of any operator is invited, sees it at its own operator, and is in the roster once it has accepted,
 * though its operator holds nothing of the PN; every other end of an invitation has its code; and nobody fills another's
 * subscribers with invitations.
 * Fails if an answer counts that is not the invitee's, or twice, or too late; if an invitation is lost because an operator
 * could not be reached; or if its message is anywhere but with the invitee.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Json } from '../../src/document/documents.ts'
import { asDocumentId } from '../../src/document/names.ts'
import type { CommandHandler } from '../../src/federation/federation.ts'
import type { PnInvitationsResult } from '../../src/inventory/methods.ts'
import { until } from '../fixtures/until.ts'
import { a, answerOf, b, c, grant, homeNetwork, newId, refusalOf, subscribe, type World, world } from './world.ts'

const test = suite('invitations')
const flat = { home: a, pnId: 'flat' }
const document = asDocumentId('pn/a.example/flat')
const day = 86_400_000

/** PN `flat` of alice at A; radio and eve are of B, which has no grant. */
async function inviting(counts: Record<string, number> = { [a]: 1, [b]: 1 }, limits = {}) {
  const w = await world(counts, limits)
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  subscribe(w, b, 'radio', 'eve')
  return { w, hub }
}

type Invited = { invitation: string; expires: number; delivered: boolean }
const invite = (w: World, params: object = {}, who = 'alice') => {
  const given = { operator: b, identity: 'radio', role: 'PNE', message: 'Join us.', expires: w.clock.now() + day }
  return w.at(a).call<Invited>('pn.invite', { commandId: newId(), ...flat, ...given, ...params }, who)
}
const radio = { operator: b, pneId: 'radio' }
const answer = (w: World, method: 'pn.accept' | 'pn.decline', invitation: string, pne = radio, more: object = {}) =>
  w.at(pne.operator).call(method, { commandId: newId(), ...flat, invitation, pne, ...more }, pne.pneId)
const withdraw = (w: World, invitation: string, who = 'alice') =>
  w.at(a).call('pn.withdraw', { commandId: newId(), ...flat, invitation }, who)
const inboxOf = async (w: World, pne = radio, index = 0) =>
  (await w.at(pne.operator, index).call<PnInvitationsResult>('pn.invitations', {}, pne.pneId)).invitations
const rosterOf = async (w: World) =>
  (await w.at(a).inventoryOf(a, 'flat')).members.map(({ operator, pneId }) => `${operator}/${pneId}`)

test('invited at an operator without a grant, seen at any of its servers, accepted: firmly in the roster', async () => {
  const { w } = await inviting({ [a]: 1, [b]: 2 })
  const { invitation, expires, delivered } = await invite(w)
  assert.ok(delivered)
  await w.replicate()
  const shown = { ...flat, invitation, role: 'PNE', alias: 'Flat', by: 'a.example/alice', message: 'Join us.', expires }
  for (const index of [0, 1]) assert.equal(await inboxOf(w, radio, index), [shown])
  assert.equal(await inboxOf(w, { operator: b, pneId: 'eve' }), [])

  assert.equal(await answer(w, 'pn.accept', invitation), { role: 'PNE', epoch: 1 })
  assert.equal(await rosterOf(w), ['b.example/radio'])
  assert.equal(await inboxOf(w), [])
  w.clock.advance(day)
  assert.equal(await rosterOf(w), ['b.example/radio'], 'for good')
  await w.stop()
})

test('at an operator whose grant has ended, and that holds nothing any more, they are answered too', async () => {
  const { w } = await inviting()
  await grant(w, 'flat', b)
  await w.replicate()
  await grant(w, 'flat', b, [])
  const inventory = () => refusalOf(w.at(b).call('pn.inventory', flat, 'radio'))
  await until(
    async () => {
      await w.clock.run(100)
      await w.replicate()
      return (await inventory()) === '403 GRANT_ENDED'
    },
    { what: 'B has dropped the PN' },
  )
  const { invitation } = await invite(w)
  assert.equal(await answer(w, 'pn.accept', invitation), { role: 'PNE', epoch: 1 })
  const next = await invite(w, { identity: 'eve' })
  await answer(w, 'pn.decline', next.invitation, { operator: b, pneId: 'eve' })
  assert.equal(await rosterOf(w), ['b.example/radio'])
  await w.stop()
})

test('of the home’s own subscribers too; the gateway that was invited attaches itself', async () => {
  const { w, hub } = await inviting()
  const lamp = { operator: a, pneId: 'lamp' }
  const { invitation } = await invite(w, { operator: a, identity: 'lamp', role: 'gateway' })
  const attach = () => hub.server.call('gateway.attach', { commandId: newId(), ...flat, gatewayId: 'lamps' }, 'lamp')
  assert.is(await refusalOf(attach()), '403 NOT_AUTHORISED')
  assert.equal((await inboxOf(w, lamp)).length, 1)
  assert.equal(await answer(w, 'pn.accept', invitation, lamp), { role: 'gateway', epoch: 1 })
  await attach()
  await w.stop()
})

test('by an administrator, and into a PN that takes nobody without an invitation', async () => {
  const { w, hub } = await inviting()
  const lamp = { operator: a, pneId: 'lamp' }
  await hub.update('add', [lamp])
  await w.at(a).call('pn.admin', { commandId: newId(), ...flat, operation: 'assign', pne: lamp }, 'alice')
  const change = (connectionMode: string) =>
    w.at(a).call('pn.change', { commandId: newId(), ...flat, connectionMode }, 'alice')
  await change('invited')
  const { invitation } = await invite(w, {}, 'lamp')
  await change('closed')
  assert.is(await refusalOf(invite(w, { identity: 'eve' }, 'lamp')), '403 PN_CLOSED')
  assert.is(await refusalOf(answer(w, 'pn.accept', invitation)), '403 PN_CLOSED')
  await change('invited')
  await answer(w, 'pn.accept', invitation)
  assert.equal(await rosterOf(w), ['a.example/lamp', 'b.example/radio'])
  await w.stop()
})

test('invitee and owner are told, without the message', async () => {
  const { w } = await inviting()
  const heard: unknown[] = []
  w.at(b).inventory.attached.enter({ operator: b, identity: 'radio' }, (...said) => heard.push(said))
  w.at(a).inventory.attached.enter({ operator: a, identity: 'alice' }, (...said) => heard.push(said))
  const { invitation } = await invite(w)
  await answer(w, 'pn.accept', invitation)
  assert.equal(heard, [
    ['pn.invited', { ...flat, invitation }],
    ['pn.answered', { ...flat, invitation, pne: radio, accepted: true }],
    ['pn.invited', { ...flat, invitation }],
  ])
  await w.stop()
})

test('answered, withdrawn, expired, released: each once and with its code', async () => {
  const { w } = await inviting()
  const accepted = await invite(w)
  const commandId = newId()
  const first = await answer(w, 'pn.accept', accepted.invitation, radio, { commandId })
  assert.equal(await answer(w, 'pn.accept', accepted.invitation, radio, { commandId }), first, 'repeated')
  assert.is(await refusalOf(answer(w, 'pn.accept', accepted.invitation)), '409 INVITATION_ANSWERED')
  assert.is(await refusalOf(answer(w, 'pn.decline', accepted.invitation)), '409 INVITATION_ANSWERED')
  assert.is(await refusalOf(withdraw(w, accepted.invitation)), '409 INVITATION_ANSWERED')
  assert.is(await refusalOf(invite(w)), '409 MEMBER_EXISTS')

  const eve = { operator: b, pneId: 'eve' }
  const declined = await invite(w, { identity: 'eve' })
  await answer(w, 'pn.decline', declined.invitation, eve)
  assert.is(await refusalOf(answer(w, 'pn.accept', declined.invitation, eve)), '409 INVITATION_ANSWERED')
  assert.equal(await rosterOf(w), ['b.example/radio'])

  const withdrawn = await invite(w, { identity: 'eve' })
  assert.equal((await inboxOf(w, eve)).length, 1)
  await withdraw(w, withdrawn.invitation)
  assert.equal(await withdraw(w, withdrawn.invitation), {}, 'withdrawn again, it has happened once')
  assert.equal(await inboxOf(w, eve), [])
  assert.is(await refusalOf(answer(w, 'pn.accept', withdrawn.invitation, eve)), '410 INVITATION_WITHDRAWN')

  const expired = await invite(w, { identity: 'eve', expires: w.clock.now() + 5 })
  w.clock.advance(5)
  assert.equal(await inboxOf(w, eve), [])
  assert.is(await refusalOf(answer(w, 'pn.accept', expired.invitation, eve)), '410 INVITATION_EXPIRED')
  assert.is(await refusalOf(withdraw(w, expired.invitation)), '410 INVITATION_EXPIRED')

  const last = await invite(w, { identity: 'eve' })
  await w.at(a).call('pn.release', { commandId: newId(), ...flat }, 'alice')
  assert.is(await refusalOf(answer(w, 'pn.accept', last.invitation, eve)), '410 PN_RELEASED')
  await w.at(a).call('pn.establish', { commandId: newId(), alias: 'Again', pnId: 'flat' }, 'alice')
  assert.is(await refusalOf(answer(w, 'pn.accept', last.invitation, eve)), '404 INVITATION_UNKNOWN')
  await w.stop()
})

test('nobody answers for another, or learns of another’s invitation', async () => {
  const { w } = await inviting({ [a]: 1, [b]: 1, [c]: 1 })
  const { invitation } = await invite(w)
  const eve = { operator: b, pneId: 'eve' }
  const params = { commandId: newId(), ...flat, invitation }
  assert.is(await refusalOf(answer(w, 'pn.accept', invitation, eve)), '404 INVITATION_UNKNOWN')
  assert.is(await refusalOf(answer(w, 'pn.accept', 'none')), '404 INVITATION_UNKNOWN')
  assert.is(await refusalOf(w.at(b).call('pn.accept', { ...params, pne: radio }, 'eve')), '403 NOT_ITSELF')
  const away = { operator: b, identity: 'radio' }
  assert.is(await refusalOf(w.at(c).call('pn.accept', { ...params, pne: radio }, away)), '403 ELSEWHERE')
  assert.is(await refusalOf(w.at(c).call('pn.invitations', {}, away)), '403 ELSEWHERE')
  const handle = (given: Json) =>
    answerOf(w.at(a).handlers.get('pn.accept') as CommandHandler, { method: 'pn.accept', params: given }, w.at(c))
  const forged = await handle({ ...params, pne: radio })
  assert.is(!forged.ok && `${forged.status} ${forged.cause}`, '403 NOT_ITSELF')
  assert.equal(await rosterOf(w), [])
  await w.stop()
})

test('who may invite, whom, and how often', async () => {
  const { w } = await inviting(undefined, {
    invitations: { maxInvitations: 2, lettersPerSecond: 1, lettersBurst: 100, maxOpenFromOne: 16, maxOpen: 64 },
  })
  assert.is(await refusalOf(invite(w, {}, 'lamp')), '403 NOT_AUTHORISED')
  assert.is(await refusalOf(invite(w, { pnId: 'other' })), '404 PN_UNKNOWN')
  assert.is(await refusalOf(invite(w, { identity: 'nobody' })), '404 PNE_UNKNOWN')
  assert.is(await refusalOf(invite(w, { expires: w.clock.now() })), '400 MALFORMED')
  const first = await invite(w, { expires: w.clock.now() + 365 * day })
  assert.is(first.expires, w.clock.now() + 30 * day, 'no longer than thirty days')
  assert.is(await refusalOf(invite(w)), '409 INVITATION_EXISTS')
  await invite(w, { identity: 'eve' })
  assert.is(await refusalOf(invite(w, { operator: a, identity: 'lamp' })), '409 LIMIT')
  assert.is(await refusalOf(withdraw(w, first.invitation, 'lamp')), '403 NOT_AUTHORISED')
  assert.is(await refusalOf(withdraw(w, 'none')), '404 INVITATION_UNKNOWN')
  await withdraw(w, first.invitation)
  await invite(w, { operator: a, identity: 'lamp' })
  await w.stop()
})

test('what was refused where it was brought was never made', async () => {
  const { w } = await inviting()
  assert.is(await refusalOf(invite(w, { identity: 'nobody' })), '404 PNE_UNKNOWN')
  const written = [...(await w.at(a).documents.read(document)).entries('invitation')]
  assert.equal(written, [])
  await w.stop()
})

test('a command repeated, here or at another server, makes one invitation', async () => {
  const { w } = await inviting({ [a]: 2, [b]: 1 })
  const params = { commandId: newId(), time: w.clock.now(), expires: w.clock.now() + day }
  const first = await invite(w, params)
  await answer(w, 'pn.accept', first.invitation)
  assert.equal(await invite(w, params), first, 'also when it was answered since')
  await w.replicate()
  const given = { ...flat, operator: b, identity: 'radio', role: 'PNE', message: 'Join us.', ...params }
  const other = await w.at(a, 1).call<Invited>('pn.invite', given, 'alice')
  assert.is(other.invitation, first.invitation)
  assert.equal(await inboxOf(w), [])
  await w.stop()
})

test('an operator that cannot be reached gets the invitation when it can, across a crash', async () => {
  const { w } = await inviting()
  w.cut(a, b)
  const first = await invite(w)
  const second = await invite(w, { identity: 'eve' })
  assert.equal([first.delivered, second.delivered], [false, false])
  await withdraw(w, second.invitation)
  await w.at(a).restart()
  assert.equal(await inboxOf(w), [])
  w.join(a, b)
  for (let turns = 0; turns < 50 && (await inboxOf(w)).length === 0; turns++) await new Promise(setImmediate)
  assert.equal(
    (await inboxOf(w)).map(({ invitation, message }) => [invitation, message]),
    [[first.invitation, 'Join us.']],
  )
  assert.equal(await inboxOf(w, { operator: b, pneId: 'eve' }), [], 'what was withdrawn meanwhile is not brought')
  await answer(w, 'pn.accept', first.invitation)
  assert.equal(await rosterOf(w), ['b.example/radio'])
  const waiting = await Array.fromAsync(w.at(a).store.localScan('invitation-letter/'))
  assert.equal(waiting, [], 'and forgotten')
  await w.stop()
})

test('accepted at one server, withdrawn at another that did not know: accepted', async () => {
  const { w } = await inviting({ [a]: 2, [b]: 1 })
  const { invitation } = await invite(w)
  await w.replicate()
  await answer(w, 'pn.accept', invitation)
  w.clock.advance(1)
  await w.at(a, 1).call('pn.withdraw', { commandId: newId(), ...flat, invitation }, 'alice')
  await w.replicate()
  assert.equal(await rosterOf(w), ['b.example/radio'])
  for (const index of [0, 1]) {
    const again = w.at(a, index).call('pn.withdraw', { commandId: newId(), ...flat, invitation }, 'alice')
    assert.is(await refusalOf(again), '409 INVITATION_ANSWERED')
  }
  await w.stop()
})

test('the message is with the invitee alone', async () => {
  const { w } = await inviting()
  await invite(w, { message: 'a-secret-meeting' })
  const holders: string[] = []
  for (const server of w.servers) {
    for await (const { document: held } of server.documents.list('')) {
      const { entries } = await server.documents.missing(held, new Map(), 1 << 24)
      if (entries.some(entry => Buffer.from(entry).includes('a-secret-meeting'))) holders.push(held)
    }
  }
  assert.equal(holders, ['invitations/b.example/radio'])
  const principal = { operator: b, identity: 'radio' }
  assert.is(await w.at(b).inventory.mayRead(principal, asDocumentId('invitations/b.example/radio')), false)
  for (const operator of [a, c]) {
    assert.is(w.at(b).inventory.entitlement.mayHold(asDocumentId('invitations/b.example/radio'), operator), false)
  }
  await w.stop()
})

test('an operator brings invitations to its own PNs only, so many, to subscribers that there are', async () => {
  const limits = { maxInvitations: 64, lettersPerSecond: 1, lettersBurst: 12, maxOpenFromOne: 3, maxOpen: 4 }
  const { w } = await inviting({ [a]: 1, [b]: 1, [c]: 1 }, { invitations: limits })
  const letter = (params: object = {}) => ({
    home: c,
    pnId: 'spam',
    invitation: newId(),
    identity: 'radio',
    state: 'open',
    role: 'PNE',
    alias: 'Spam',
    by: 'c.example/mallory',
    expires: w.clock.now() + day,
    ...params,
  })
  const bring = async (params: object = {}) => {
    const handler = w.at(b).handlers.get('invitation.deliver') as CommandHandler
    const given = JSON.parse(JSON.stringify(letter(params)))
    const answered = await answerOf(handler, { method: 'invitation.deliver', params: given }, w.at(c))
    return answered.ok ? 'taken' : `${answered.status} ${answered.cause}`
  }
  assert.is(await bring({ home: a }), '403 NOT_AUTHORISED')
  assert.is(await bring({ identity: 'nobody' }), '404 PNE_UNKNOWN')
  assert.is(await bring({ message: 'x'.repeat(300) }), '400 MALFORMED')
  assert.is(await bring({ surplus: 1 }), '400 MALFORMED')
  const known = newId()
  assert.is(await bring({ invitation: known }), 'taken')
  assert.is(await bring({ invitation: known, alias: 'Other' }), 'taken')
  assert.is((await inboxOf(w))[0]?.alias, 'Spam', 'brought again, it is as it was')
  assert.is(await bring(), 'taken')
  assert.is(await bring(), 'taken')
  assert.is(await bring(), '409 INBOX_FULL')
  assert.is(await bring({ state: 'closed', invitation: known }), 'taken')
  assert.is(await bring({ invitation: known }), 'taken')
  assert.equal((await inboxOf(w)).length, 2, 'what was closed stays closed')
  assert.is(await bring({ identity: 'eve' }), 'taken')
  assert.is(await bring({ identity: 'eve' }), '429 RATE_LIMITED')

  await invite(w)
  assert.equal((await inboxOf(w)).length, 3, 'others are not held up by it')
  w.clock.advance(day)
  assert.is(await bring({ expires: w.clock.now() + 999 * day }), 'taken')
  assert.is((await inboxOf(w))[0]?.expires, w.clock.now() + 30 * day, 'nor is it there for ever')
  const inbox = await w.at(b).documents.read(asDocumentId('invitations/b.example/radio'))
  assert.is(
    [...inbox.entries()].filter(([, { value }]) => value !== null).length,
    1,
    'what has expired is cleared away',
  )
  await w.stop()
})

test.run()
