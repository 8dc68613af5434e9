/*
 * Proves, at whole nodes over real sockets: who reads a document along is cut off soon after its right to read has ended,
 * whether a member was removed, a grant revoked or a subscriber of a mailbox taken out; it is told so, hears nothing of
 * what is written later, and cannot open the document again; others read on.
 * Fails if an open channel outlives the right that it was opened with, or if the withdrawal cuts off somebody else.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { documentOpen, documentWithdrawn } from '../../src/access/protocol.ts'
import { openDocument } from '../../src/client/document.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import type { Session } from '../../src/client/session.ts'
import { documentId } from '../../src/document/names.ts'
import { pnEstablish, pnGrant, pnInventory, pnUpdate } from '../../src/inventory/methods.ts'
import { type DocumentId, operatorId } from '../../src/ports/names.ts'
import { messageDeposit } from '../../src/storage/methods/objects.ts'
import { userChange, userRegister, userShow } from '../../src/storage/methods/users.ts'
import { mailboxDocument, partDocument } from '../../src/storage/names.ts'
import { until } from '../fixtures/until.ts'
import { newId } from '../inventory/world.ts'
import { aliceAddress, message } from '../storage/storage-world.ts'
import { type ClientWorld, clientPorts, clientWorldWithin, keyOf } from './world.ts'

const test = suite('rights to read that end')
let world: ClientWorld
test.after.each(() => world.stop())

const a = operatorId('a.example')
const b = operatorId('b.example')
const flat = { home: a, pnId: 'flat' }
const flatDocument = documentId({ kind: 'pn', owner: a, pnId: 'flat' })
const often = { access: { tickMs: 20, recheckMs: 40 } }

/** A document as it is read along, with all that its session hears of withdrawals. */
async function reading(session: Session, document: DocumentId) {
  const errors: Error[] = []
  const withdrawn: DocumentId[] = []
  const heard = { frames: 0 }
  session.listen({
    bytes: () => {
      heard.frames += 1
    },
    notification(method, params) {
      const told = documentWithdrawn.params.safeParse(params)
      if (method === documentWithdrawn.method && told.success && told.data.document === document) {
        withdrawn.push(document)
      }
    },
  })
  const read = openDocument(session, clientPorts().clock, document, {
    changed: () => {},
    ended: error => errors.push(error),
  })
  await until(() => read.isComplete || errors.length > 0, { what: `${document} is complete or refused` })
  return { read, errors, withdrawn, heard }
}

type Reading = Awaited<ReturnType<typeof reading>>

const statusOf = (call: Promise<unknown>): Promise<number | undefined> =>
  call.then(
    () => undefined,
    error => (error instanceof RequestRefused ? error.status : undefined),
  )

/** Waits until it was withdrawn from this reader, and sees that it stays so. */
async function requireWithdrawn(session: Session, { read, errors, withdrawn }: Reading): Promise<void> {
  await until(() => errors.length > 0, { what: `${read.id} is withdrawn` })
  assert.match(String(errors[0]), /may no longer be read/)
  assert.equal(withdrawn, [read.id])
  assert.is(await statusOf(session.call(documentOpen, { document: read.id })), 403, 'it cannot be opened again')
}

test('a member that is removed from a Personal Network reads its document no longer; another member does', async () => {
  world = await clientWorldWithin(often, () => ({}), a)
  const [node] = world.nodes
  assert.ok(node)
  const owner = await node.session('owner')
  await owner.call(pnEstablish, { commandId: newId(), alias: 'Flat', pnId: 'flat' })
  const update = (operation: 'add' | 'remove', ...pneIds: string[]) =>
    owner.call(pnUpdate, {
      ...{ commandId: newId(), ...flat, operation },
      pnes: pneIds.map(pneId => ({ operator: a, pneId })),
    })
  await update('add', 'lamp', 'radio')
  const [lampSession, radioSession] = [await node.session('lamp'), await node.session('radio')]
  const [lamp, radio] = [await reading(lampSession, flatDocument), await reading(radioSession, flatDocument)]

  await update('remove', 'lamp')
  await requireWithdrawn(lampSession, lamp)
  const heard = { ...lamp.heard }
  await update('add', 'clock')
  const knows = () => [...radio.read.registers().entries('roster/')].some(([key]) => key.endsWith('/clock'))
  await until(knows, { what: 'the other member reads on' })
  assert.is(await statusOf(lampSession.call(pnInventory, flat)), 403)
  assert.equal(lamp.heard, heard, 'nothing of it came to who may not read it')
  assert.equal(radio.errors, [])
})

test('an operator whose grant is revoked cuts off its own subscribers', async () => {
  world = await clientWorldWithin(often, () => ({}), a, b)
  const [home, away] = world.nodes
  assert.ok(home && away)
  const owner = await home.session('owner')
  await owner.call(pnEstablish, { commandId: newId(), alias: 'Flat', pnId: 'flat' })
  const pnes = [{ operator: b, pneId: 'bob' }]
  await owner.call(pnUpdate, { commandId: newId(), ...flat, operation: 'add', pnes })
  const grant = (rights: ('register' | 'admit')[]) =>
    owner.call(pnGrant, {
      ...{ commandId: newId(), ...flat, operator: b, fingerprint: away.fingerprint },
      ...{ rights, expires: Date.now() + 3_600_000 },
    })
  await grant(['register'])
  const bob = await away.session('bob')
  const shown = await until(
    async () => {
      const found = await reading(bob, flatDocument)
      return found.errors.length === 0 ? found : undefined
    },
    { what: 'b.example holds the document, and bob may read it' },
  )
  await grant([])
  await requireWithdrawn(bob, shown)
})

test('a subscriber that is taken out of a mailbox reads nothing of it any longer; the user does', async () => {
  const keys = {
    find: async (identity: string) => ({
      ...{ identity, credential: { kind: 'psk' as const, key: keyOf(a, identity) } },
      ...(identity === 'function' && { rights: ['provision', 'deposit'] as const }),
    }),
  }
  world = await clientWorldWithin(often, () => ({ keys }), a)
  const [node] = world.nodes
  assert.ok(node)
  const alice = { operator: a, user: 'alice' }
  const system = await node.session('function')
  const reader = (identity: string) => ({ operator: a, identity, rights: ['read' as const] })
  await system.call(userRegister, {
    ...{ commandId: newId(), user: 'alice', addresses: [aliceAddress] },
    subscribers: [reader('alice'), reader('tablet')],
  })
  const deposit = (text: string) => system.call(messageDeposit, { commandId: newId(), ...alice, object: message(text) })
  const { container, part } = await deposit('What is for lunch?')
  const conversation = partDocument(alice, container, part)
  const [tablet, phone] = [await node.session('tablet'), await node.session('alice')]
  const lost = [await reading(tablet, mailboxDocument(alice)), await reading(tablet, conversation)] as const
  const kept = await reading(phone, conversation)
  for (const { errors } of [...lost, kept]) assert.equal(errors, [])

  const removed = { commandId: newId(), user: 'alice', removeSubscribers: [{ operator: a, identity: 'tablet' }] }
  await system.call(userChange, removed)
  for (const each of lost) await requireWithdrawn(tablet, each)
  const heard = lost.map(({ heard }) => ({ ...heard }))
  const { id } = await deposit('Noodles')
  await until(() => kept.read.registers().get(`object/${id}`), { what: 'the user reads on' })
  assert.is(await statusOf(tablet.call(userShow, alice)), 403)
  assert.equal(
    lost.map(({ heard }) => heard),
    heard,
    'nothing of it came to who may not read it',
  )
  assert.equal(kept.errors, [])
})

test.run()
