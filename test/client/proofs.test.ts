/*
 * Proves, over real nodes and websockets: the SDK proves a command that another operator executes, by itself or as it is
 * told, with either kind of key; what cannot be sent now waits at the server, and its outcome comes to whoever waits for
 * it, or later, after the client was away.
 * Fails if a proof of the SDK is not taken, if one is made for another operator than the one that executes, or if a call
 * that waits is answered twice or never.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  CommandPending,
  commandOutcome,
  documentId,
  gatewayAttach,
  pnEstablish,
  pnGrant,
  pnInventory,
  pnRelease,
  pnUpdate,
  RequestRefused,
} from '../../src/client/index.ts'
import { openSession, type Session } from '../../src/client/session.ts'
import { operatorId } from '../../src/ports/names.ts'
import { until } from '../fixtures/until.ts'
import { newId } from '../inventory/world.ts'
import { clientPorts, clientWorld, crypto, type TestNode } from './world.ts'

const a = operatorId('a.example')
const b = operatorId('b.example')
const flat = { home: a, pnId: 'flat' }
const document = documentId({ kind: 'pn', owner: a, pnId: 'flat' })

/** PN `flat` of owner@a.example with bob@b.example in its roster, granted to b.example. */
async function scene() {
  const world = await clientWorld(a, b)
  const [home, away] = world.nodes as [TestNode, TestNode]
  const owner = await home.session('owner')
  const command = () => ({ commandId: newId(), ...flat })
  await owner.call(pnEstablish, { commandId: newId(), alias: 'Flat', pnId: 'flat' })
  await owner.call(pnUpdate, { ...command(), operation: 'add', pnes: [{ operator: b, pneId: 'bob' }] })
  const rights = ['register', 'admit', 'gateway'] as const
  const grant = { operator: b, fingerprint: away.fingerprint, rights: [...rights], expires: Date.now() + 3_600_000 }
  await owner.call(pnGrant, { ...command(), ...grant })
  const bob = await away.session('bob')
  await until(() => bob.call(gatewayAttach, { ...command(), gatewayId: 'bobs' }).catch(() => undefined), {
    what: 'bob is attached at his operator',
  })
  await until(async () => (await owner.call(pnInventory, flat)).gateways.length === 1, { what: 'a.example knows it' })
  const [{ server: a1 }, { server: b1 }] = [home.node.federation, away.node.federation]
  const cut = async () => {
    world.hub.cut(a1, b1)
    await until(() => away.node.federation.links().every(({ state }) => state !== 'up'), { what: 'the link is down' })
  }
  return { world, home, away, owner, bob, command, cut, heal: () => world.hub.heal(a1, b1) }
}

type Scene = Awaited<ReturnType<typeof scene>>

/** The nodes end with the test, whatever came of it. */
const proves = (property: string, show: (scene: Scene) => Promise<void>) =>
  test(property, async () => {
    const found = await scene()
    try {
      await show(found)
    } finally {
      await found.world.stop()
    }
  })

const add = (pneId: string) => ({ operation: 'add' as const, pnes: [{ operator: b, pneId }] })
const membersOf = async (session: Session) => (await session.call(pnInventory, flat)).members.map(({ pneId }) => pneId)
const refusalOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'not refused',
    error => (error instanceof RequestRefused ? `${error.status} ${error.reason}` : String(error)),
  )

proves(
  'a command that another operator executes is proved when the server asks for it, and only then',
  async ({ bob, owner, command }) => {
    const release = command()
    assert.is(await refusalOf(bob.call(pnRelease, release, { prove: false })), '403 ELSEWHERE')
    assert.is(
      await refusalOf(bob.call(pnRelease, release)),
      '403 NOT_AUTHORISED',
      'a.example was asked, and refuses bob',
    )
    // What his own operator may execute, it executes: nothing is proved.
    await bob.call(pnUpdate, { ...command(), ...add('clock') })
    await until(async () => (await membersOf(owner)).includes('clock'), { what: 'clock in the roster' })
  },
)

proves(
  'proved as it is told: at the operator that is named, as the subscriber that is named',
  async ({ home, bob, owner, command }) => {
    const target = { executor: a, document }
    await bob.call(pnUpdate, { ...command(), ...add('clock') }, { prove: target })
    assert.ok((await membersOf(owner)).includes('clock'), 'written at home, at once')

    const as = home.identity('owner')
    const removal = { ...command(), operation: 'remove' as const, pnes: [{ operator: b, pneId: 'clock' }] }
    const { version } = await bob.call(pnUpdate, removal, { prove: { ...target, as } })
    assert.not.ok((await membersOf(owner)).includes('clock'))
    assert.equal(
      await bob.call(pnUpdate, removal, { prove: { ...target, as } }),
      { version },
      'repeated, it is the same',
    )

    const other = documentId({ kind: 'pn', owner: a, pnId: 'other' })
    const refused = [
      bob.call(pnRelease, command(), { prove: { executor: b, document, as } }),
      bob.call(pnRelease, command(), { prove: { executor: a, document: other, as } }),
      bob.call(pnRelease, command(), { prove: { ...target, as: home.identity('owner', new Uint8Array(32)) } }),
      bob.call(pnRelease, command(), { prove: { ...target, as: { ...as, operator: b } } }),
      bob.call(pnRelease, { ...command(), time: Date.now() + 3_600_000 }, { prove: { ...target, as } }),
    ]
    assert.equal(await Promise.all(refused.map(refusalOf)), [
      '403 ELSEWHERE',
      '401 PROOF_REFUSED',
      '401 PROOF_REFUSED',
      '401 PROOF_REFUSED',
      '401 PROOF_REFUSED',
    ])
    assert.match(await refusalOf(bob.call(pnInventory, flat, { prove: { ...target, as } })), /TypeError/)
  },
)

proves(
  'with an Ed25519 key, at the executor and on the way there, and with nothing that is public',
  async ({ world, home, away, owner, bob, command }) => {
    const target = { executor: a, document }
    const pair = crypto.ed25519.generate()
    const credential = { kind: 'ed25519', privateKey: pair.privateKey } as const
    away.credentials.set('ivy', { kind: 'ed25519', publicKey: pair.publicKey })
    await owner.call(pnUpdate, { ...command(), ...add('ivy') })
    const ivy = await openSession(clientPorts(), { ...away.identity('ivy'), credential, urls: [away.url] })
    world.ends.push(() => ivy.close())
    await until(() => ivy.call(gatewayAttach, { ...command(), gatewayId: 'ivys' }).catch(() => undefined), {
      what: 'ivy is attached at her operator',
    })
    await until(async () => (await owner.call(pnInventory, flat)).gateways.length === 2, { what: 'a.example knows it' })
    await ivy.call(pnUpdate, { ...command(), ...add('clock') }, { prove: target })
    assert.ok((await membersOf(owner)).includes('clock'), 'b.example checked it, and a.example has written')

    // The owner has a new key: a.example checks, and b.example cannot.
    const ownPair = crypto.ed25519.generate()
    home.credentials.set('owner', { kind: 'ed25519', publicKey: ownPair.publicKey })
    const as = { ...home.identity('owner'), credential: { ...credential, privateKey: ownPair.privateKey } }
    const removal = () => ({ ...command(), operation: 'remove' as const, pnes: [{ operator: b, pneId: 'clock' }] })
    const refused = [
      home.identity('owner'), // the key that was the owner's
      home.identity('owner', ownPair.publicKey),
      { ...as, credential },
      { ...away.identity('ivy'), credential: as.credential },
    ].map(as => refusalOf(bob.call(pnUpdate, removal(), { prove: { ...target, as } })))
    assert.equal(await Promise.all(refused), Array(4).fill('401 PROOF_REFUSED'))
    assert.ok((await membersOf(owner)).includes('clock'))
    await bob.call(pnUpdate, removal(), { prove: { ...target, as } })
    assert.not.ok((await membersOf(owner)).includes('clock'))
  },
)

proves(
  'unreachable: 423, or it waits; the outcome comes to the call that waits, or is asked for later',
  async ({ home, away, bob, owner, command, cut, heal }) => {
    const as = home.identity('owner')
    const how = { prove: { executor: a, document, as }, ifUnreachable: 'wait' } as const
    await cut()
    assert.is(
      await refusalOf(bob.call(pnUpdate, { ...command(), ...add('clock') }, { prove: how.prove })),
      '423 OWNER_UNREACHABLE',
    )

    const waiting = bob.call(pnUpdate, { ...command(), ...add('lamp') }, { ...how, timeoutMs: 60_000 })
    const given = { ...command(), ...add('radio') }
    // An answer that is late on a busy machine is lost; the command can be repeated.
    const pended = (command: typeof given) =>
      until(
        async () => {
          const error: unknown = await bob.call(pnUpdate, command, { ...how, timeoutMs: 500 }).catch(error => error)
          return error instanceof CommandPending ? error : undefined
        },
        { what: 'it is told that the command waits' },
      )
    const pending = await pended(given)
    assert.is(pending.commandId, given.commandId)
    assert.ok(pending.expires > Date.now() + 23 * 3_600_000)
    assert.is((await bob.outcome(pnUpdate, given.commandId)).state, 'pending')
    assert.is(await refusalOf(owner.call(commandOutcome, { commandId: given.commandId })), '404 COMMAND_UNKNOWN')
    const doomed = { ...command(), ...add('x'), expectedVersion: 'another' }
    await pended(doomed)
    bob.close()
    heal()

    assert.match(
      await refusalOf(waiting),
      /NotConnected|RequestRefused|AnswerLost|CommandPending/,
      'its session is closed',
    )
    const back = await away.session('bob')
    const done = await until(
      async () => {
        const outcome = await back.outcome(pnUpdate, given.commandId)
        return outcome.state === 'done' ? outcome : undefined
      },
      { what: 'the command to be done' },
    )
    assert.type(done.result.version, 'string')
    await until(async () => (await membersOf(owner)).includes('lamp'), { what: 'lamp in the roster' })
    const refused = await until(
      async () => {
        const outcome = await back.outcome(pnUpdate, doomed.commandId)
        return outcome.state === 'refused' ? outcome.refusal : undefined
      },
      { what: 'the command to be refused' },
    )
    assert.equal([refused.status, refused.reason], [409, 'VERSION_CONFLICT'])

    await cut()
    const kept = () => away.telemetry.counter('cpns_commands_kept_total', { method: 'pn.update' })
    const before = kept()
    const waits = back.call(pnUpdate, { ...command(), ...add('door') }, { ...how, timeoutMs: 60_000 })
    await until(() => kept() > before, { what: 'it is kept' })
    heal()
    assert.type((await waits).version, 'string')
  },
)

test.run()
