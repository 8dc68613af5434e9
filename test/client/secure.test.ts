import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { systemRandom } from '../../src/adapters/random.ts'
import { websocketListener } from '../../src/adapters/websocket-listener.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import { type PnGateway, startGateway } from '../../src/client/gateway.ts'
import { createPne, type PersonalNetworkElement, type PneRegistration } from '../../src/client/pne.ts'
import { openSecureSession, type SecureSessionOptions } from '../../src/client/secure-session.ts'
import type { ClientPorts, Session } from '../../src/client/session.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import {
  type PresenceChanged,
  pnEstablish,
  pnInventory,
  pnRelease,
  pnUpdate,
  presenceChanged,
  presenceReport,
  presenceWatch,
  secureNotice,
} from '../../src/inventory/methods.ts'
import type { OperatorId } from '../../src/ports/names.ts'
import { aroundSocket } from '../fixtures/around-socket.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { until } from '../fixtures/until.ts'
import { type ClientWorld, clientPorts, clientWorld, keyOf } from './world.ts'

/*
 * A PNE of the SDK talks to its operator through gateways of the SDK, at real nodes over real websockets. It fails if a call
 * is lost or made twice where it need not be, if a notice does not arrive, or if the PNE must register again though its
 * registration stands.
 */
const test = suite('secure sessions of the SDK')
let world: ClientWorld
test.after.each(() => world.stop())

const home = 'a.example' as OperatorId
const network = { home, pnId: 'flat' }
const newId = () => toBase64url(systemRandom().bytes(16))

interface Flat {
  readonly owner: Session
  readonly gateways: readonly PnGateway[]
  readonly phone: PersonalNetworkElement
}

/** A Personal Network with gateways, the owner's own element among them. */
async function flat(gatewayIds: readonly string[] = ['box-1']): Promise<Flat> {
  world = await clientWorld(home)
  const [a] = world.nodes
  assert.ok(a)
  const owner = await a.session('alice')
  await owner.call(pnEstablish, { commandId: newId(), alias: 'Flat', pnId: 'flat' })
  const boxes = gatewayIds.map(pneId => ({ operator: home, pneId }))
  await owner.call(pnUpdate, { commandId: newId(), ...network, operation: 'add', pnes: boxes })
  const { crypto, clock } = clientPorts()
  const gateways: PnGateway[] = []
  for (const gatewayId of gatewayIds) {
    const listener = websocketListener({ host: '127.0.0.1', port: 0, telemetry: new RecordingTelemetry() })
    const session = await a.session(gatewayId)
    const gateway = await startGateway({ crypto, clock }, session, listener, { gatewayId, networks: [network] })
    world.ends.push(() => gateway.stop())
    gateways.push(gateway)
  }
  return {
    owner,
    gateways,
    phone: createPne(clientPorts(), {
      gatewayUrl: gateways[0]?.url() ?? '',
      ...network,
      operator: home,
      pneId: 'phone',
      key: keyOf(home, 'phone'),
    }),
  }
}

/** What passes between a PNE and its gateway, each frame in turn; what it returns is passed on instead. */
type Passing = (frame: string, direction: 'up' | 'down') => readonly string[]

function through(passing: Passing): ClientPorts {
  const { sockets, ...rest } = clientPorts()
  return {
    ...rest,
    sockets: {
      async connect(url, protocols) {
        const socket = await sockets.connect(url, protocols)
        return aroundSocket(socket, {
          send: frame => {
            for (const passed of passing(String(frame), 'up')) socket.send(passed)
          },
          listen: events =>
            socket.listen({
              ...events,
              message: frame => {
                for (const passed of passing(String(frame), 'down')) events.message(passed)
              },
            }),
        })
      },
    },
  }
}

/**
 * Pauses are cut short. An answer is waited for as long as it takes, unless something was done meanwhile to what is carried:
 * then it is given up soon.
 */
const hurried = (ports: ClientPorts, deeds: () => number = () => 0): ClientPorts => ({
  ...ports,
  clock: {
    ...ports.clock,
    after(ms, callback) {
      if (ms !== 8_000) return ports.clock.after(ms < 5_000 ? Math.min(ms, 20) : ms, callback)
      const before = deeds()
      const look = () => (deeds() === before ? watch() : callback())
      let cancel = () => {}
      const watch = () => {
        cancel = ports.clock.after(40, look)
      }
      watch()
      return () => cancel()
    },
  },
})

const openedBy = async (
  { transaction, sessionKey, ticket }: PneRegistration,
  gateways: readonly PnGateway[],
  ports = clientPorts(),
  more: Partial<SecureSessionOptions> = {},
) => {
  const gatewayUrls = gateways.map(gateway => gateway.url())
  const registered = { ...network, operator: home, pneId: 'phone', transaction, sessionKey, ticket }
  const session = await openSecureSession(ports, { gatewayUrls, ...registered, timeoutMs: 60_000, ...more })
  world.ends.push(() => session.close())
  return session
}

const refusedWith = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'not refused',
    (error: unknown) => (error instanceof RequestRefused ? `${error.status} ${error.reason}` : String(error)),
  )

test('a registered PNE calls commands through its gateway, as itself', async () => {
  const { owner, phone } = await flat()
  const registration = await phone.register()
  const session = await phone.openSession(registration)
  world.ends.push(() => session.close())
  assert.equal(await session.call(pnInventory, network), await owner.call(pnInventory, network))
  const all = await Promise.all(Array.from({ length: 20 }, () => session.call(pnInventory, network)))
  assert.is(all.length, 20)
  const { home: at } = await session.call(pnEstablish, { commandId: newId(), alias: 'Its own', pnId: 'own' })
  assert.is(at, home)
  assert.is(await refusedWith(session.call(pnRelease, { commandId: newId(), ...network })), '403 NOT_AUTHORISED')
  assert.is(await refusedWith(session.call(pnInventory, { home, pnId: 'none' })), '404 PN_UNKNOWN')
  session.close()
  assert.match(await refusedWith(session.call(pnInventory, network)), /NotConnected: Closed by the PNE/)
})

test('wherever the connection to the gateway breaks, a call is answered, in the same session once it was open', async () => {
  const { phone, gateways } = await flat()
  const registration = await phone.register()
  // Requests with their answers: discover, open, two calls; the first connection breaks after so many frames.
  for (const passed of [5, 6, 7, 8]) {
    let left = passed
    const sessions = new Set<string>()
    const { sockets, ...rest } = clientPorts()
    const breaking: ClientPorts = {
      ...rest,
      sockets: {
        async connect(url, protocols) {
          const socket = await sockets.connect(url, protocols)
          const passes = () => left-- !== 0
          const cut = () => socket.close(4_000, 'broken for the test')
          return aroundSocket(socket, {
            send: frame => (passes() ? socket.send(frame) : cut()),
            listen: events =>
              socket.listen({ ...events, message: frame => (passes() ? events.message(frame) : cut()) }),
          })
        },
      },
    }
    const session = await openedBy(registration, gateways, hurried(breaking))
    if (session.state.kind === 'open') sessions.add(session.state.session)
    session.listen({ state: state => state.kind === 'open' && sessions.add(state.session) })
    for (const _ of [1, 2, 3])
      assert.is((await session.call(pnInventory, network)).pnId, 'flat', `after ${passed} frames`)
    assert.is(sessions.size, 1, `after ${passed} frames`)
    session.close()
  }
})

test('when its gateway is gone the PNE goes on at another one, without registering again', async () => {
  const { owner, phone, gateways } = await flat(['box-1', 'box-2'])
  const registration = await phone.register()
  const session = await openedBy(registration, gateways, hurried(clientPorts()))
  const through = () => (session.state.kind === 'open' ? session.state.gatewayId : undefined)
  await session.call(pnInventory, network)
  assert.is(through(), 'box-1')
  await gateways[0]?.stop()
  await session.call(pnInventory, network)
  assert.is(through(), 'box-2')
  const { members, superseded } = await owner.call(pnInventory, network)
  assert.is(members.find(({ pneId }) => pneId === 'phone')?.state, 'active')
  assert.equal(superseded, [])
})

test('a session that the server has forgotten is opened anew by itself, also by a PNE that began again', async () => {
  const { phone, gateways } = await flat()
  const registration = await phone.register()
  const first = await openedBy(registration, gateways, hurried(clientPorts()))
  await first.call(pnInventory, network)
  const name = first.state.kind === 'open' ? first.state.session : undefined
  // Of one PNE the server has so many sessions; the oldest gives way.
  for (const _ of [1, 2, 3, 4]) {
    const other = await openedBy(registration, gateways)
    await other.call(pnInventory, network)
  }
  await first.call(pnInventory, network)
  assert.is(first.state.kind, 'open')
  assert.is.not(first.state.kind === 'open' && first.state.session, name)
})

test('keys change while calls are under way', async () => {
  const { phone, gateways } = await flat()
  const registration = await phone.register()
  const phases = new Set<string>()
  const ports = through((frame, direction) => {
    const phase = direction === 'up' && /"phase":(\d+)/.exec(frame)
    if (phase) phases.add(phase[1] ?? '')
    return [frame]
  })
  const session = await openedBy(registration, gateways, ports, {
    phaseLimits: { phaseFrames: 5, phaseBytes: 1 << 20, phaseMs: 60_000 },
  })
  const all = await Promise.all(Array.from({ length: 40 }, () => session.call(pnInventory, network)))
  assert.is(all.length, 40)
  assert.ok(phases.size >= 4, `${[...phases]}`)
})

test('what a PNE is told arrives by itself, in order; what the gateway holds back is found out and asked for', async () => {
  const { phone, gateways } = await flat()
  const registration = await phone.register()
  let pushed = 0
  const holding = through((frame, direction) => {
    if (direction === 'up' || !frame.includes(secureNotice.method)) return [frame]
    assert.not.ok(frame.includes('presence'), 'it is sealed')
    return ++pushed === 2 ? [] : [frame, frame]
  })
  const session = await openedBy(registration, gateways, holding)
  const told: PresenceChanged[] = []
  session.listen({
    notice: (method, params) => method === presenceChanged.method && told.push(presenceChanged.params.parse(params)),
  })
  await session.call(presenceWatch, network)
  const states = ['active', 'standby', 'active'] as const
  for (const [index, state] of states.entries()) {
    await session.call(presenceReport, { ...network, state })
    await until(() => pushed > index, { what: `notice ${index + 1} was pushed` })
    if (index !== 1) await until(() => told.length > index, { what: `notice ${index + 1} has come` })
  }
  assert.equal(
    told.map(({ pnes }) => pnes[0]?.state),
    states,
  )
})

test('a PNE whose registration has ended is told so, and closes', async () => {
  const { owner, phone, gateways } = await flat()
  const registration = await phone.register()
  const session = await openedBy(registration, gateways, hurried(clientPorts()))
  await session.call(pnInventory, network)
  const pnes = [{ operator: home, pneId: 'phone' }]
  await owner.call(pnUpdate, { commandId: newId(), ...network, operation: 'remove', pnes })
  assert.is(await refusedWith(session.call(pnInventory, network)), '409 NOT_MEMBER')
  assert.is(session.state.kind, 'closed')
  assert.is(await refusedWith(openedBy(registration, gateways)), '409 NOT_MEMBER')
  assert.is(await refusedWith(openedBy({ ...registration, ticket: 'AAAA' }, gateways)), '401 TICKET_UNKNOWN')
})

test('who has not the session key is not taken for the operator', async () => {
  const { phone, gateways } = await flat()
  const registration = await phone.register()
  for (const field of ['serverNonce', 'proof', 'session'] as const) {
    const posing = through((frame, direction) => {
      const another = (letter: string) => (letter === 'x' ? 'y' : 'x')
      const changed = frame.replace(
        new RegExp(`("${field}":"[^"]{20})(.)`),
        (_all, head, letter) => head + another(letter),
      )
      return [direction === 'down' ? changed : frame]
    })
    const error = await openedBy(registration, gateways, posing).catch(error => error)
    assert.is(error.name, 'DecryptionFailed', field)
  }
})

test('a gateway that changes, drops, repeats and mixes up what it carries brings nothing about but time lost', async () => {
  const { owner, phone, gateways } = await flat()
  const registration = await phone.register()
  await owner.call(pnEstablish, { commandId: newId(), alias: 'Another', pnId: 'other' })
  const expected = await owner.call(pnInventory, network)
  const deeds = fc.array(fc.constantFrom('pass', 'pass', 'drop', 'change', 'twice', 'swap', 'again'), {
    minLength: 8,
    maxLength: 8,
  })
  await fc.assert(
    fc.asyncProperty(deeds, async plan => {
      let turn = 0
      let deeds = 0
      const before: string[] = []
      const hostile = through((frame, direction) => {
        if (!frame.includes('"sealed"')) return [frame]
        const deed = plan[turn++] ?? 'pass'
        if (deed !== 'pass') deeds += 1
        const earlier = before.at(-1)
        before.push(frame)
        const [, id] = /"id":(\d+)/.exec(frame) ?? []
        switch (deed) {
          case 'drop':
            return []
          case 'change':
            return [
              frame.replace(/("sealed":"[^"]{20})(.)/, (_all, head, letter) => head + (letter === 'A' ? 'B' : 'A')),
            ]
          case 'twice':
            return direction === 'up' ? [frame, frame.replace(/"id":\d+/, '"id":99999')] : [frame, frame]
          case 'swap': {
            // Of another frame, what was sealed in it.
            const [, sealed] = /"sealed":"([^"]*)"/.exec(earlier ?? '') ?? []
            return sealed === undefined ? [frame] : [frame.replace(/"sealed":"[^"]*"/, `"sealed":"${sealed}"`)]
          }
          case 'again':
            return earlier === undefined ? [frame] : [earlier.replace(/"id":\d+/, `"id":${id}`), frame]
          default:
            return [frame]
        }
      })
      const session = await openedBy(
        registration,
        gateways,
        hurried(hostile, () => deeds),
      )
      const results = await Promise.all([1, 2, 3].map(() => session.call(pnInventory, network)))
      for (const result of results) assert.equal(result, expected)
      assert.is(await refusedWith(session.call(pnInventory, { home, pnId: 'other' })), '403 NOT_AUTHORISED')
      session.close()
    }),
    // Each opens the session twice or more, and a PNE may do so forty times at once.
    { numRuns: 10, endOnFailure: true },
  )
})

test.run()
