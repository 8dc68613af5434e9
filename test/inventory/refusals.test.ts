/*
 * Proves: whoever may not do something is told so with the status and cause that the design names, and nothing is
 * written. Fails if a refusal carries another code, or if a refused command leaves a trace in a document.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import { operatorId } from '../../src/ports/names.ts'
import {
  a,
  b,
  fingerprintOf,
  Gateway,
  grant,
  homeNetwork,
  keyOf,
  newId,
  Pne,
  refusalOf,
  subscribe,
  type World,
  world,
} from './world.ts'

const document = asDocumentId('pn/a.example/flat')
const flat = { home: a, pnId: 'flat' }

interface Scene {
  readonly w: World
  readonly hub: Gateway
  readonly lamp: Pne
  /** Calls at the home operator. */
  call(method: string, params: object, who?: string): Promise<unknown>
}

interface Case {
  readonly expected: string
  readonly when: string
  run(scene: Scene): Promise<unknown>
}

/** A live PN `flat` of alice with gateway `hub`, the member `lamp`, and mallory, who has no part in it. */
async function scene(): Promise<Scene> {
  const w = await world({ [a]: 1, [b]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'mallory')
  subscribe(w, b, 'radio')
  const lamp = new Pne(a, 'lamp')
  await hub.update('add', [lamp.name])
  return {
    w,
    hub,
    lamp,
    call: (method, params, who = 'alice') =>
      w.at(a).call(method, method === 'pn.inventory' ? params : { commandId: newId(), ...params }, who),
  }
}

const add = (pneId: string) => ({ ...flat, operation: 'add', pnes: [{ operator: a, pneId }] })
const granted = (fields: object = {}) => ({
  ...flat,
  operator: b,
  fingerprint: fingerprintOf(b),
  rights: ['register'],
  expires: 4e12,
  ...fields,
})

const commands: Case[] = [
  {
    expected: '409 PN_EXISTS',
    when: 'a PN is established under an id that another has',
    run: ({ call }) => call('pn.establish', { alias: 'Mine', pnId: 'flat' }, 'mallory'),
  },
  {
    expected: '409 PN_EXISTS',
    when: 'a live PN is established again',
    run: ({ call }) => call('pn.establish', { alias: 'Flat', pnId: 'flat' }),
  },
  {
    expected: '403 ELSEWHERE',
    when: 'somebody founds a PN at an operator that is not theirs',
    run: ({ w }) =>
      w.at(a).call('pn.establish', { commandId: newId(), alias: 'x' }, { operator: b, identity: 'radio' }),
  },
  {
    expected: '404 PN_UNKNOWN',
    when: 'there is no such PN',
    run: ({ call }) => call('pn.update', { ...add('x'), pnId: 'no' }),
  },
  {
    expected: '403 NOT_AUTHORISED',
    when: 'a stranger changes the roster',
    run: ({ call }) => call('pn.update', add('x'), 'mallory'),
  },
  {
    expected: '403 NOT_AUTHORISED',
    when: 'a mere element changes the roster',
    run: ({ call }) => call('pn.update', add('x'), 'lamp'),
  },
  {
    expected: '409 VERSION_CONFLICT',
    when: 'the roster has changed since',
    run: ({ call }) => call('pn.update', { ...add('x'), expectedVersion: 'another' }),
  },
  {
    expected: '409 OVERTAKEN',
    when: 'a later command has decided already',
    run: async ({ w, call }) => {
      const time = w.clock.now()
      w.clock.advance(1_000)
      await call('pn.update', { ...add('lamp'), operation: 'remove' })
      return call('pn.update', { ...add('lamp'), time })
    },
  },
  {
    expected: '409 COMMAND_REUSED',
    when: 'a command id is used for another command',
    run: async ({ call }) => {
      const commandId = newId()
      await call('pn.update', { ...add('x'), commandId })
      return call('pn.update', { ...add('y'), commandId })
    },
  },
  {
    expected: '403 NOT_AUTHORISED',
    when: 'a stranger releases the PN',
    run: ({ call }) => call('pn.release', flat, 'mallory'),
  },
  {
    expected: '410 PN_RELEASED',
    when: 'the PN was released',
    run: async ({ call }) => {
      await call('pn.release', flat)
      assert.is(await refusalOf(call('pn.release', flat)), '410 PN_RELEASED')
      assert.is(await refusalOf(call('pn.grant', granted())), '410 PN_RELEASED')
      assert.is(await refusalOf(call('gateway.attach', { ...flat, gatewayId: 'hub' })), '410 PN_RELEASED')
      return call('pn.update', add('x'))
    },
  },
  {
    expected: '410 PN_EXPIRED',
    when: 'the PN has expired',
    run: async ({ w, call }) => {
      await call('pn.establish', { alias: 'Short', pnId: 'short', lifetimeMs: 1_000 })
      w.clock.advance(1_000)
      return call('pn.update', { ...add('x'), pnId: 'short' })
    },
  },
  {
    expected: '403 NOT_AUTHORISED',
    when: 'a stranger grants',
    run: ({ call }) => call('pn.grant', granted(), 'mallory'),
  },
  {
    expected: '400 MALFORMED',
    when: 'home grants to itself',
    run: ({ call }) => call('pn.grant', granted({ operator: a })),
  },
  {
    expected: '400 MALFORMED',
    when: 'a grant has ended',
    run: ({ call }) => call('pn.grant', granted({ expires: 1 })),
  },
  {
    expected: '409 FINGERPRINT_MISMATCH',
    when: 'the grantee is known by other root keys',
    run: ({ call }) => call('pn.grant', granted({ fingerprint: 'another-fingerprint' })),
  },
  {
    expected: '403 NOT_AUTHORISED',
    when: 'who is no element attaches as a gateway',
    run: ({ call }) => call('gateway.attach', { ...flat, gatewayId: 'mine' }, 'mallory'),
  },
  {
    expected: '409 GATEWAY_EXISTS',
    when: 'a gateway id is another’s',
    run: ({ call }) => call('gateway.attach', { ...flat, gatewayId: 'hub' }, 'lamp'),
  },
  {
    expected: '403 NOT_AUTHORISED',
    when: 'a stranger reads',
    run: ({ call }) => call('pn.inventory', flat, 'mallory'),
  },
  {
    expected: '404 PN_UNKNOWN',
    when: 'nothing is there to read',
    run: ({ call }) => call('pn.inventory', { ...flat, pnId: 'no' }),
  },
]

const registrations: Case[] = [
  {
    expected: '403 GATEWAY_UNKNOWN',
    when: 'the caller is no gateway of the PN',
    run: async ({ w, lamp }) => lamp.register(new Gateway(w.at(a), 'mallory', a, 'flat', 'hub')),
  },
  {
    expected: '403 GATEWAY_UNKNOWN',
    when: 'the gateway passes itself off as another',
    run: async ({ w, lamp }) => lamp.register(new Gateway(w.at(a), 'alice', a, 'flat', 'other')),
  },
  {
    expected: '404 PN_UNKNOWN',
    when: 'the PN is unknown',
    run: async ({ w, lamp }) => lamp.register(new Gateway(w.at(a), 'alice', a, 'no', 'hub')),
  },
  {
    expected: '403 NO_GRANT',
    when: 'the operator of the PNE may not register in the PN',
    run: ({ hub }) => new Pne(b, 'radio').register(hub),
  },
  {
    expected: '409 NOT_MEMBER',
    when: 'the PNE is not in the roster',
    run: ({ hub }) => new Pne(a, 'mallory').register(hub),
  },
  {
    expected: '404 PNE_UNKNOWN',
    when: 'its operator does not know it',
    run: async ({ hub }) => {
      const ghost = new Pne(a, 'ghost')
      await hub.update('add', [ghost.name])
      return ghost.register(hub)
    },
  },
  {
    expected: '410 PN_RELEASED',
    when: 'the PN was released meanwhile',
    run: async ({ hub, lamp, call }) => {
      const request = await lamp.seal(hub)
      await call('pn.release', flat)
      return lamp.send(hub, request)
    },
  },
  {
    expected: '401 AUTH_FAILED',
    when: 'the PNE has another key than its operator',
    run: async ({ w, hub, lamp }) => {
      const request = await lamp.seal(hub)
      const key = keyOf(a, 'another')
      w.at(a).subscribers.set('lamp', { identity: 'lamp', credential: { kind: 'psk', key } })
      return lamp.send(hub, request)
    },
  },
  {
    expected: '401 AUTH_FAILED',
    when: 'one subscriber registers as another',
    run: async ({ hub, lamp }) => {
      await hub.update('add', [{ operator: a, pneId: 'mallory' }])
      const request = await new Pne(a, 'mallory').seal(hub)
      return hub.server.call('pne.register', { ...request.params, pneId: lamp.pneId }, hub.identity)
    },
  },
  {
    expected: '401 CHALLENGE_EXPIRED',
    when: 'the challenge has expired',
    run: async ({ w, hub, lamp }) => {
      const request = await lamp.seal(hub)
      w.clock.advance(120_000)
      return lamp.send(hub, request)
    },
  },
  {
    expected: '401 CHALLENGE_UNKNOWN',
    when: 'the challenge is of another making',
    run: async ({ hub, lamp }) => {
      const { params } = await lamp.seal(hub)
      return hub.server.call('pne.register', { ...params, challenge: 'A'.repeat(75) }, hub.identity)
    },
  },
  {
    expected: '409 KEY_EPOCH_UNKNOWN',
    when: 'the registration key is not in use',
    run: async ({ hub, lamp }) => {
      const { params } = await lamp.seal(hub)
      return hub.server.call('pne.register', { ...params, keyEpoch: 7 }, hub.identity)
    },
  },
  {
    expected: '429 RATE_LIMITED',
    when: 'too many of its requests have failed',
    run: async ({ w, hub, lamp }) => {
      w.at(a).subscribers.delete('lamp')
      const failures = Array.from({ length: 10 }, () => refusalOf(lamp.register(hub)))
      assert.equal(new Set(await Promise.all(failures)), new Set(['404 PNE_UNKNOWN']))
      subscribe(w, a, 'lamp')
      return lamp.register(hub)
    },
  },
  {
    expected: '404 TRANSACTION_UNKNOWN',
    when: 'nothing was registered that could be confirmed',
    run: ({ hub, lamp }) => {
      const params = { ...hub.way(a), transaction: newId(), pneId: lamp.pneId, proof: 'A'.repeat(43) }
      return hub.server.call('pne.confirm', params, hub.identity)
    },
  },
  {
    expected: '401 AUTH_FAILED',
    when: 'the confirmation is not made with the session key',
    run: async ({ hub, lamp }) => {
      await lamp.register(hub)
      lamp.sessionKey = new Uint8Array(32)
      return lamp.confirm(hub)
    },
  },
  {
    expected: '409 SUPERSEDED',
    when: 'a later registration has taken its place',
    run: async ({ hub, lamp }) => {
      await lamp.register(hub)
      const { request, sessionKey } = lamp
      await lamp.register(hub)
      Object.assign(lamp, { request, sessionKey })
      return lamp.confirm(hub)
    },
  },
  {
    expected: '409 NOT_MEMBER',
    when: 'the PNE was removed before it confirmed',
    run: async ({ hub, lamp }) => {
      await lamp.register(hub)
      await hub.update('remove', [lamp.name])
      return lamp.confirm(hub)
    },
  },
]

for (const [name, cases] of Object.entries({ commands, registrations })) {
  const test = suite(`refusals: ${name}`)
  for (const { expected, when, run } of cases) {
    test(`${expected}: ${when}`, async () => {
      const set = await scene()
      assert.is(await refusalOf(run(set)), expected)
      await set.w.stop()
    })
  }
  test.run()
}

const other = suite('refusals: consequences')

other('who was refused too often may try again a minute later, and others all the time', async () => {
  const { w, hub, lamp } = await scene()
  subscribe(w, a, 'radio')
  const radio = new Pne(a, 'radio')
  await hub.update('add', [radio.name])
  w.at(a).subscribers.delete('lamp')
  for (let failures = 0; failures < 11; failures++) await refusalOf(lamp.register(hub))
  subscribe(w, a, 'lamp')
  assert.is(await refusalOf(lamp.register(hub)), '429 RATE_LIMITED')
  assert.is(await refusalOf(radio.register(hub)), 'not refused')
  w.clock.advance(60_000)
  assert.is(await refusalOf(lamp.register(hub)), 'not refused')
  await w.stop()
})

other('a key source that cannot be reached is no failure of the PNE', async () => {
  const { w, hub, lamp } = await scene()
  w.at(a).subscribers.get = () => {
    throw new Error('the subscriber database is away')
  }
  for (let times = 0; times < 12; times++) {
    assert.is(await refusalOf(lamp.register(hub)), '503 KEY_SOURCE_UNAVAILABLE')
  }
  await w.stop()
})

other('what is refused writes nothing', async () => {
  const { w, hub, call } = await scene()
  const before = await w.at(a).documents.index(document)
  await refusalOf(call('pn.update', { ...add('x'), expectedVersion: 'another' }))
  await refusalOf(call('pn.update', add('x'), 'mallory'))
  await refusalOf(call('pn.release', flat, 'mallory'))
  await refusalOf(new Pne(a, 'mallory').register(hub))
  assert.equal(await w.at(a).documents.index(document), before)
  await w.stop()
})

other('a lifetime past the end of the calendar is malformed, not a PN that nobody finds', async () => {
  const w = await world({ [a]: 1 })
  const { spec } = w.at(a).inventory.commands.find(command => command.spec.method === 'pn.establish') ?? {}
  const params = { commandId: newId(), alias: 'Flat', lifetimeMs: Number.MAX_SAFE_INTEGER }
  assert.is(spec?.params.safeParse(params).success, false)
  await w.stop()
})

other('nothing grows without limit, and an update of several PNEs is made whole or not at all', async () => {
  const w = await world({ [a]: 1 }, { maxRoster: 3, maxGateways: 1, maxGrants: 1 })
  const hub = await homeNetwork(w)
  const pnes = ['one', 'two', 'three', 'four'].map(pneId => ({ operator: a, pneId }))
  assert.is(await refusalOf(hub.update('add', pnes)), '409 LIMIT')
  assert.equal((await w.at(a).inventoryOf(a, 'flat')).members, [])
  await hub.update('add', pnes.slice(1))
  assert.is((await w.at(a).inventoryOf(a, 'flat')).members.length, 3)
  assert.is(await refusalOf(new Gateway(w.at(a), 'alice', a, 'flat', 'second').attach()), '409 LIMIT')
  await grant(w, 'flat', b)
  await grant(w, 'flat', b, ['admit'])
  assert.is(await refusalOf(grant(w, 'flat', operatorId('c.example'))), '409 LIMIT')
  await w.stop()
})

other.run()
