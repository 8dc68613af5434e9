/*
 * Proves: a client of one operator is taken at a server of another only with both, a ticket of its own operator for that very
 * server, used once and in time, and a certificate of its own operator for the key that it proves; and only where the host's policy
 * takes that operator's clients. Whatever is forged, changed, sent elsewhere, used again, too old, or signed by who is none
 * of the operator's servers any more, is refused.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createGuests, defaultGuestLimits } from '../../src/access/roaming/guests.ts'
import { toBase64url, utf8 } from '../../src/commands/framing.ts'
import { CommandRefused } from '../../src/federation/command.ts'
import { signedBytes } from '../../src/ports/identity.ts'
import type { OperatorId, ServerId } from '../../src/ports/names.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { type TestServer, testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { crypto } from './rig.ts'

const test = suite('Guests')
const a = testOperator('a.example', 2)
const b = testOperator('b.example', 2)
const c = testOperator('c.example')
const [a1, a2] = a.servers as [TestServer, TestServer]
const [b1, b2] = b.servers as [TestServer, TestServer]
const [c1] = c.servers as [TestServer]
const message = utf8('what both sides have agreed on')
const key = new Uint8Array(32).fill(0xd0)

/** Every operator trusts every other; `gone` servers are in no manifest any more. */
function party(gone: readonly ServerId[] = []) {
  const clock = new ManualClock()
  const owners = new Map<ServerId, OperatorId>()
  for (const { id, servers } of [a, b, c]) for (const server of servers) owners.set(server.id, id)
  for (const server of gone) owners.delete(server)
  const invalid = new Set<OperatorId>()
  const at = ({ identity, id }: TestServer, takes: readonly OperatorId[] = [a.id]) =>
    createGuests({
      identity,
      trust: {
        operatorsOf: server => [owners.get(server)].filter(found => found !== undefined),
        isOpen: operator => !invalid.has(operator),
      },
      takes: operator => takes.includes(operator),
      crypto,
      random: seededRandom(`guests at ${id}`),
      clock,
    })
  return { clock, at, invalid }
}
type Party = ReturnType<typeof party>

async function certificateOf({ at }: Party, server: TestServer, identity = 'alice', privateKey = key): Promise<string> {
  const [certify] = at(server).commands
  const publicKey = toBase64url(crypto.ed25519.publicKey(privateKey))
  const answer = await certify?.execute({ publicKey }, { operator: server.identity.operator, identity })
  return (answer as { certificate: string }).certificate
}

const proofWith = (privateKey: Uint8Array, of = message) =>
  toBase64url(crypto.ed25519.sign(privateKey, signedBytes('cpns-authenticate-v1', crypto.sha256(of))))

function causeOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof CommandRefused) return `${error.status} ${error.reason}`
    throw error
  }
  return 'admitted'
}

test('is admitted once, as a subscriber of its own operator, for a while', async () => {
  const all = party()
  const host = all.at(b1)
  const guest = {
    identity: 'alice',
    certificate: await certificateOf(all, a1),
    ticket: all.at(a2).send(b1.id, [a1.id, a2.id]),
    message,
    signature: proofWith(key),
  }
  assert.equal(host.visited(guest.ticket), [a1.id, a2.id])
  const { principal, until } = host.admit(guest)
  assert.equal(principal, { operator: a.id, identity: 'alice' })
  assert.is(until, all.clock.now() + defaultGuestLimits.stayMs)
  assert.is(
    causeOf(() => host.admit(guest)),
    '401 AUTH_FAILED',
    'replayed',
  )
  assert.is(
    causeOf(() => all.at(b1).admit({ ...guest, ticket: all.at(a2).send(b1.id, []) })),
    'admitted',
    'another ticket',
  )
})

test('is refused with a ticket that is not for here, not of its operator, changed, or too old', async () => {
  const all = party()
  const { at, clock } = all
  const certificate = await certificateOf(all, a1)
  const guest = { identity: 'alice', certificate, message, signature: proofWith(key) }
  const cause = (ticket: string | undefined) => causeOf(() => at(b1).admit({ ...guest, ticket }))
  const good = at(a1).send(b1.id, [a1.id])
  assert.is(cause(undefined), '403 NOT_SENT')
  assert.is(cause('nonsense'), '403 NOT_SENT')
  assert.is(cause(at(a1).send(b2.id, [])), '401 AUTH_FAILED', 'misdirected')
  assert.is(cause(at(c1).send(b1.id, [])), '401 AUTH_FAILED', 'of an operator that is not the client’s')
  assert.is(cause(at(b2).send(b1.id, [])), '401 AUTH_FAILED', 'of the host itself')
  const [body = '', signature] = good.split('.')
  const said = JSON.parse(Buffer.from(body, 'base64url').toString())
  const forged = (change: object) =>
    `${Buffer.from(JSON.stringify({ ...said, ...change })).toString('base64url')}.${signature}`
  assert.is(cause(forged({ id: 'another' })), '401 AUTH_FAILED', 'forged')
  assert.is(cause(forged({ signer: a2.id })), '401 AUTH_FAILED', 'said to be another server’s')
  assert.is(cause(forged({ expires: said.expires + 86_400_000 })), '401 AUTH_FAILED', 'good for too long')
  clock.advance(defaultGuestLimits.ticketMs + 60_000)
  assert.is(cause(good), '401 AUTH_FAILED', 'too old')
})

test('is refused with a certificate that is not its own, changed, or too old, and with another key’s proof', async () => {
  const all = party()
  const { at, clock } = all
  const certificate = await certificateOf(all, a1)
  const ticket = () => at(a1).send(b1.id, [])
  const guest = { identity: 'alice', certificate, message, signature: proofWith(key) }
  const cause = (change: Partial<typeof guest>) =>
    causeOf(() => at(b1).admit({ ...guest, ticket: ticket(), ...change }))
  assert.is(cause({}), 'admitted')
  assert.is(cause({ identity: 'bob' }), '401 AUTH_FAILED')
  assert.is(cause({ signature: proofWith(new Uint8Array(32).fill(1)) }), '401 AUTH_FAILED', 'another key')
  assert.is(cause({ signature: proofWith(key, utf8('something else')) }), '401 AUTH_FAILED', 'another connection')
  assert.is(cause({ certificate: 'nonsense' }), '401 AUTH_FAILED')
  assert.is(cause({ certificate: await certificateOf(all, c1) }), '403 NOT_TAKEN')
  assert.is(
    cause({ certificate: await certificateOf(all, b2) }),
    '401 AUTH_FAILED',
    'the host’s own subscribers come otherwise',
  )
  const [body = '', signature] = certificate.split('.')
  const said = JSON.parse(Buffer.from(body, 'base64url').toString())
  const changed = Buffer.from(JSON.stringify({ ...said, identity: 'bob' })).toString('base64url')
  assert.is(cause({ identity: 'bob', certificate: `${changed}.${signature}` }), '401 AUTH_FAILED', 'changed')
  clock.advance(defaultGuestLimits.certificateMs)
  assert.is(cause({}), '401 AUTH_FAILED', 'too old')
})

test('is refused where its operator’s clients are not taken, and when the signer is none of its servers any more', async () => {
  const certificateBefore = await certificateOf(party(), a2)
  const all = party([a2.id])
  const guest = { identity: 'alice', message, signature: proofWith(key) }
  const certificate = await certificateOf(all, a1)
  const ticket = () => all.at(a1).send(b1.id, [])
  assert.is(
    causeOf(() => all.at(b1, []).admit({ ...guest, certificate, ticket: ticket() })),
    '403 NOT_TAKEN',
  )
  assert.is(
    causeOf(() => all.at(b1).admit({ ...guest, certificate, ticket: all.at(a2).send(b1.id, []) })),
    '401 AUTH_FAILED',
  )
  assert.is(
    causeOf(() => all.at(b1).admit({ ...guest, certificate: certificateBefore, ticket: ticket() })),
    '401 AUTH_FAILED',
  )
  assert.is(
    causeOf(() => all.at(b1).admit({ ...guest, certificate, ticket: ticket() })),
    'admitted',
  )
  all.invalid.add(a.id)
  assert.is(
    causeOf(() => all.at(b1).admit({ ...guest, certificate, ticket: ticket() })),
    '401 AUTH_FAILED',
    'the manifest has run out',
  )
})

test('gets a certificate from its own operator alone', async () => {
  const all = party()
  const [certify] = all.at(b1).commands
  const refused = await certify
    ?.execute({ publicKey: 'A'.repeat(43) }, { operator: a.id, identity: 'alice' })
    .catch(error => error)
  assert.is((refused as CommandRefused).reason, 'ELSEWHERE')
})

test.run()
