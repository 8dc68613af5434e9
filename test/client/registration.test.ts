import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket } from 'ws'
import { systemRandom } from '../../src/adapters/random.ts'
import { websocketListener } from '../../src/adapters/websocket-listener.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import { type GatewayOptions, type PnGateway, startGateway } from '../../src/client/gateway.ts'
import type { GatewayEvent } from '../../src/client/gateway-events.ts'
import { readInventory } from '../../src/client/inventory-reader.ts'
import { createPne, type PneOptions } from '../../src/client/pne.ts'
import type { ClientPorts, Session } from '../../src/client/session.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import { type Inventory, pnEstablish, pnGrant, pnInventory, pnRelease, pnUpdate } from '../../src/inventory/methods.ts'
import { type ClientListener, ConnectFailed, type Socket, type SocketFactory } from '../../src/ports/client-sockets.ts'
import type { OperatorId } from '../../src/ports/names.ts'
import { aroundSocket } from '../fixtures/around-socket.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { until } from '../fixtures/until.ts'
import { type ClientWorld, clientPorts, clientWorld, keyOf, type TestNode } from './world.ts'

/*
 * PNEs register through a gateway of the SDK at real nodes: members and those who are none, of the home operator and of
 * another one, over connections that break at every step. It fails if a registration that was refused leaves a member
 * behind, if a repetition registers twice, if anything that the gateway carries can be read, or if the inventory that a
 * client computes is not the server's.
 */
const test = suite('PNEs and gateways')
let world: ClientWorld
test.after.each(() => world.stop())

const home = 'a.example' as OperatorId
const network = { home, pnId: 'flat' }
const newId = () => toBase64url(systemRandom().bytes(16))

/** What is carried on a socket, as text, both ways. */
const carriedBy = (socket: Socket, carried: string[]): Socket => ({
  send(frame) {
    carried.push(String(frame))
    socket.send(frame)
  },
  bufferedBytes: () => socket.bufferedBytes(),
  close: (code, reason) => socket.close(code, reason),
  listen: events =>
    socket.listen({
      message(frame) {
        carried.push(String(frame))
        events.message(frame)
      },
      closed: events.closed,
    }),
})

function recordingListener(carried: string[]): ClientListener {
  const listener = websocketListener({ host: '127.0.0.1', port: 0, telemetry: new RecordingTelemetry() })
  return {
    ...listener,
    listen: decide =>
      listener.listen(async upgrade => {
        const answer = await decide(upgrade)
        return answer.accept ? { ...answer, opened: socket => answer.opened(carriedBy(socket, carried)) } : answer
      }),
  }
}

interface Flat {
  readonly a: TestNode
  readonly owner: Session
  readonly gateway: PnGateway
  readonly events: GatewayEvent[]
  /** Everything that passed through the gateway, on either side. */
  readonly carried: string[]
  inventory(): Promise<Inventory>
  members(): Promise<string[]>
}

/** A Personal Network with a gateway. */
async function flat(
  options: Partial<GatewayOptions> = {},
  operators: readonly string[] = ['a.example'],
  /** The operator that the gateway is a subscriber of. */
  at = 0,
): Promise<Flat> {
  world = await clientWorld(...operators)
  const [a] = world.nodes
  const own = world.nodes[at]
  assert.ok(a && own)
  const owner = await a.session('alice')
  await owner.call(pnEstablish, { commandId: newId(), alias: 'Flat', pnId: 'flat' })
  const gatewayPne = { operator: own.identity('x').operator, pneId: 'box' }
  await owner.call(pnUpdate, { commandId: newId(), ...network, operation: 'add', pnes: [gatewayPne] })
  for (const other of world.nodes.slice(1)) {
    await owner.call(pnGrant, {
      commandId: newId(),
      ...network,
      operator: other.identity('x').operator,
      fingerprint: other.fingerprint,
      rights: ['register', 'admit', 'gateway'],
      expires: Date.now() + 3_600_000,
    })
  }
  const carried: string[] = []
  const events: GatewayEvent[] = []
  const { sockets, ...rest } = clientPorts()
  const recording: ClientPorts = {
    ...rest,
    sockets: { connect: async (url, protocols) => carriedBy(await sockets.connect(url, protocols), carried) },
  }
  const session = await own.session('box', recording)
  const gateway = await until(
    () =>
      startGateway(rest, session, recordingListener(carried), {
        gatewayId: 'box-1',
        networks: [network],
        onEvent: event => event.type !== 'connected' && events.push(event),
        ...options,
      }),
    { what: 'the gateway’s operator knows of the Personal Network' },
  )
  world.ends.push(() => gateway.stop())
  const inventory = () => owner.call(pnInventory, network)
  return {
    a,
    owner,
    gateway,
    events,
    carried,
    inventory,
    members: async () => (await inventory()).members.map(({ pneId, state }) => `${pneId} ${state}`).sort(),
  }
}

const pneOf = (gateway: PnGateway, pneId: string, more: Partial<PneOptions> = {}, ports = clientPorts()) => {
  const operator = more.operator ?? home
  return createPne(ports, {
    gatewayUrl: gateway.url(),
    ...network,
    operator,
    pneId,
    key: keyOf(operator, pneId),
    ...more,
  })
}

test('a member registers, and the client’s own view is the server’s', async () => {
  const { owner, gateway, events, inventory, a } = await flat()
  const pnes = [{ operator: home, pneId: 'watch' }]
  await owner.call(pnUpdate, { commandId: newId(), ...network, operation: 'add', pnes })
  const shown: (Inventory | undefined)[] = []
  const { clock } = clientPorts()
  const reader = readInventory(owner, clock, network, { changed: inventory => shown.push(inventory) })

  const { cpnsId, sessionKey, expires, gatewayId } = await pneOf(gateway, 'watch', {
    capabilities: { audio: 'stereo' },
  }).register()
  assert.is(sessionKey.length, 32)
  assert.is(gatewayId, 'box-1')
  assert.ok(expires > Date.now())
  const member = (await inventory()).members.find(({ pneId }) => pneId === 'watch')
  assert.is(member?.state, 'active')
  assert.is(member?.cpnsId, cpnsId)
  assert.equal(member?.capabilities, { audio: 'stereo' })
  assert.equal(events, [], 'the local inventory was out of date, and the server was believed')

  await until(() => shown.at(-1)?.members.some(({ cpnsId: id, state }) => id === cpnsId && state === 'active'), {
    what: 'the reader sees it',
  })
  assert.equal(JSON.parse(JSON.stringify(reader.inventory())), await inventory())
  assert.equal(reader.missing, [])
  reader.close()
  assert.is(a.telemetry.events('access.method-failed').length, 0)
})

test('who is no member is admitted, and registers', async () => {
  const { gateway, events, members } = await flat()
  await pneOf(gateway, 'phone').register()
  assert.equal(await members(), ['box member', 'phone active'])
  assert.equal(
    events.map(({ type }) => type),
    ['admitted'],
  )
  await pneOf(gateway, 'phone').register()
  assert.is(events.length, 1, 'the second time it is a member')
  assert.equal((await gateway.inventory(network)).members.map(({ pneId }) => pneId).sort(), ['box', 'phone'])
})

test('a registration that is refused leaves no member behind', async () => {
  const { gateway, events, members } = await flat()
  const intruder = pneOf(gateway, 'phone', { key: new Uint8Array(32) })
  const error = await intruder.register().catch((error: unknown) => error)
  assert.instance(error, RequestRefused)
  assert.is((error as RequestRefused).status, 401)
  assert.equal(await members(), ['box member'])
  assert.equal(
    events.map(({ type }) => type),
    ['admitted', 'withdrawn'],
  )
  const unknown = await pneOf(gateway, 'nobody')
    .register()
    .catch((error: unknown) => error)
  assert.is((unknown as RequestRefused).status, 404)
  assert.equal(await members(), ['box member'])
  await pneOf(gateway, 'phone').register()
  assert.equal(await members(), ['box member', 'phone active'])
})

test('a member that fails to prove itself stays a member', async () => {
  const { gateway, owner, members } = await flat()
  const pnes = [{ operator: home, pneId: 'watch' }]
  await owner.call(pnUpdate, { commandId: newId(), ...network, operation: 'add', pnes })
  const error = await pneOf(gateway, 'watch', { key: new Uint8Array(32) })
    .register()
    .catch((error: unknown) => error)
  assert.is((error as RequestRefused).status, 401)
  assert.equal(await members(), ['box member', 'watch member'])
})

test('the owner’s policy decides who may become a member', async () => {
  const { gateway, members } = await flat({ admits: ({ pneId }) => pneId !== 'phone' })
  const error = await pneOf(gateway, 'phone')
    .register()
    .catch((error: unknown) => error)
  assert.is((error as RequestRefused).status, 403)
  await pneOf(gateway, 'watch').register()
  assert.equal(await members(), ['box member', 'watch active'])
})

test('a Personal Network that the gateway does not know, or that has ended, is refused', async () => {
  const { gateway, owner } = await flat()
  const elsewhere = await pneOf(gateway, 'phone', { pnId: 'other' })
    .register()
    .catch((error: unknown) => error)
  assert.is((elsewhere as RequestRefused).status, 404)
  await owner.call(pnRelease, { commandId: newId(), ...network })
  const ended = await pneOf(gateway, 'phone')
    .register()
    .catch((error: unknown) => error)
  assert.is((ended as RequestRefused).status, 410)
})

test('a registration goes on and ends as its PNE says, also from one that was switched off meanwhile', async () => {
  const { gateway, inventory, members } = await flat()
  const registration = await pneOf(gateway, 'phone', { lifetimeMs: 60_000, services: ['relay'] }).register()
  const shown = async () => (await inventory()).members.find(({ pneId }) => pneId === 'phone')
  assert.equal((await shown())?.services, ['relay'])
  assert.is((await shown())?.expires, registration.expires)

  const again = pneOf(gateway, 'phone', { lifetimeMs: 3_600_000 })
  const kept = JSON.parse(JSON.stringify({ ...registration, sessionKey: [...registration.sessionKey] }))
  const refreshed = await again.refresh({ ...kept, sessionKey: new Uint8Array(kept.sessionKey) })
  assert.ok(refreshed.expires > registration.expires + 3_000_000)
  assert.is((await shown())?.expires, refreshed.expires)
  assert.is(refreshed.cpnsId, registration.cpnsId)

  await again.deregister(refreshed)
  assert.equal(await members(), ['box member', 'phone member'])
  await again.deregister(refreshed)
  const error = await again.refresh(refreshed).catch((error: unknown) => error)
  assert.is((error as RequestRefused).reason, 'DEREGISTERED')
  await again.register()
  await again.deregister(refreshed)
  assert.equal(await members(), ['box member', 'phone active'], 'an end of an earlier registration ends no later one')
})

test('wherever the connection breaks, what is said of a registration is said once', async () => {
  const { gateway, members } = await flat()
  const { clock, crypto } = clientPorts()
  const hurried = {
    ...clock,
    after: (ms: number, callback: () => void) => clock.after(ms < 5_000 ? Math.min(ms, 20) : ms, callback),
  }
  for (const passed of [0, 1, 2, 3]) {
    const ports = { crypto, clock: hurried, sockets: breaking([false, passed, false, passed]) }
    const phone = pneOf(gateway, 'phone', {}, ports)
    const registration = await phone.register()
    const { expires } = await phone.refresh(registration)
    assert.ok(expires >= registration.expires, `after ${passed} frames`)
    assert.equal(await members(), ['box member', 'phone active'])
    await phone.deregister(registration)
    assert.equal(await members(), ['box member', 'phone member'])
  }
})

test('a PNE with a key pair registers, and knows its operator by the key that it came with', async () => {
  const { a, gateway, members } = await flat()
  const { crypto } = clientPorts()
  const pair = await crypto.hpke.generateKeyPair()
  a.credentials.set('watch', { kind: 'x25519', publicKey: pair.publicKey })
  const [registrationKey] = a.secrets.registrationKeys
  assert.ok(registrationKey)
  const credential = { kind: 'x25519', ...pair, registrationKey } as const
  await pneOf(gateway, 'watch', { credential }).register()
  assert.equal(await members(), ['box member', 'watch active'])

  const wrong = { ...credential, registrationKey: { ...(await crypto.hpke.generateKeyPair()), epoch: 1 } }
  const error = await pneOf(gateway, 'watch', { credential: wrong })
    .register()
    .catch((error: unknown) => error)
  assert.is((error as RequestRefused).reason, 'AUTH_FAILED')
})

test('a PNE that registers again names its key anew each time', async () => {
  const { gateway, carried } = await flat()
  const phone = pneOf(gateway, 'phone')
  for (let times = 0; times < 3; times++) await phone.register()
  const names = new Set(carried.flatMap(frame => /"pskId":"([^"]+)"/.exec(frame)?.[1] ?? []))
  assert.is(names.size, 3)
  assert.equal([...names].map(name => name[0]).sort(), ['I', 'P', 'P'])
})

test('many register at once; the roster changes under the gateway’s hands', async () => {
  const { gateway, owner, members } = await flat()
  const names = Array.from({ length: 8 }, (_, index) => `pne-${index}`)
  const pnes = (name: string) => [{ operator: home, pneId: `by-owner-${name}` }]
  await Promise.all([
    ...names.map(name => pneOf(gateway, name).register()),
    ...names.map(name => owner.call(pnUpdate, { commandId: newId(), ...network, operation: 'add', pnes: pnes(name) })),
  ])
  assert.equal(
    (await members()).filter(member => member.endsWith('active')),
    names.map(name => `${name} active`),
  )
})

/**
 * Sockets that break: after `passed` frames more, in either direction, the connection is gone; `false` passes all.
 * Each connection takes the next number.
 */
function breaking(plan: readonly (number | false)[]): SocketFactory {
  const { sockets } = clientPorts()
  let connections = 0
  return {
    async connect(url, protocols) {
      let left = plan[connections++] ?? false
      if (left === 0) throw new ConnectFailed('broken for the test')
      const socket = await sockets.connect(url, protocols)
      const passes = () => left === false || left-- > 0
      const cut = () => socket.close(4_000, 'broken for the test')
      return aroundSocket(socket, {
        send: frame => (passes() ? socket.send(frame) : cut()),
        listen: events =>
          socket.listen({
            message: frame => (passes() ? events.message(frame) : cut()),
            closed: events.closed,
          }),
      })
    },
  }
}

test('wherever the connection to the gateway breaks, a PNE registers once', async () => {
  const { gateway, inventory } = await flat()
  const { clock, crypto } = clientPorts()
  // Pauses are cut short; what an answer may take is not.
  const hurried = {
    ...clock,
    after: (ms: number, callback: () => void) => clock.after(ms < 5_000 ? Math.min(ms, 20) : ms, callback),
  }
  // Four requests with their answers: discover, challenge, register, confirm.
  for (const passed of [0, 1, 2, 3, 4, 5, 6, 7]) {
    const ports = { crypto, clock: hurried, sockets: breaking([passed]) }
    const { cpnsId } = await pneOf(gateway, `pne-${passed}`, {}, ports).register()
    const { members, superseded } = await inventory()
    const found = members.filter(({ pneId }) => pneId === `pne-${passed}`)
    assert.equal(
      found.map(member => [member.state, member.cpnsId]),
      [['active', cpnsId]],
      `after ${passed} frames`,
    )
    assert.equal(superseded, [])
  }
})

test('the gateway carries nothing that it, or anyone beside it, could read', async () => {
  const { gateway, carried } = await flat()
  const capabilities = { secret: 'only for the operator' }
  const key = keyOf(home, 'phone')
  const { sessionKey } = await pneOf(gateway, 'phone', { capabilities }).register()
  const text = carried.join('\n')
  assert.ok(text.includes('pne.register'))
  const registering = carried.filter(frame => frame.includes('"sealed"')).join('\n')
  assert.ok(registering.length > 0)
  for (const secret of [toBase64url(key), toBase64url(sessionKey), Buffer.from(key).toString('hex')]) {
    assert.not.ok(text.includes(secret))
  }
  assert.not.ok(registering.includes('only for the operator'), 'nor what the PNE says of itself')
})

test('a request that the gateway has changed is refused, and so is an answer', async () => {
  const { gateway, members } = await flat()
  const { sockets, ...rest } = clientPorts()
  const tampering = (change: (frame: string) => string): ClientPorts => ({
    ...rest,
    sockets: {
      async connect(url, protocols) {
        const socket = await sockets.connect(url, protocols)
        return aroundSocket(socket, {
          send: frame => socket.send(typeof frame === 'string' ? change(frame) : frame),
          listen: events =>
            socket.listen({
              ...events,
              message: frame => events.message(typeof frame === 'string' ? change(frame) : frame),
            }),
        })
      },
    },
  })
  const flipped = (frame: string, where: RegExp) =>
    frame.replace(where, (_all, before: string, letter: string) => before + (letter === 'A' ? 'B' : 'A'))
  const request = await pneOf(
    gateway,
    'phone',
    {},
    tampering(frame => (frame.includes('pne.register') ? flipped(frame, /("sealed":")(.)/) : frame)),
  )
    .register()
    .catch((error: unknown) => error)
  assert.is((request as RequestRefused).status, 401)
  const answer = await pneOf(
    gateway,
    'phone',
    {},
    tampering(frame => (frame.includes('"status":20') ? flipped(frame, /("sealed":")(.)/) : frame)),
  )
    .register()
    .catch((error: unknown) => error)
  assert.is((answer as Error).name, 'DecryptionFailed')
  assert.equal(await members(), ['box member', 'phone pending'])
})

test('a PNE of another operator registers at a gateway of the home operator, and at one of its own', async () => {
  for (const at of [0, 1]) {
    const { gateway, owner, inventory } = await flat({}, ['a.example', 'b.example'], at)
    const operator = 'b.example' as OperatorId
    const { cpnsId } = await pneOf(gateway, 'tablet', { operator }).register()
    const member = await until(
      async () => (await inventory()).members.find(({ pneId, state }) => pneId === 'tablet' && state === 'active'),
      { what: 'the home operator sees it' },
    )
    assert.is(member.cpnsId, cpnsId)
    const shown: (Inventory | undefined)[] = []
    const reader = readInventory(owner, clientPorts().clock, network, { changed: value => shown.push(value) })
    await until(() => shown.at(-1)?.members.some(({ pneId, state }) => pneId === 'tablet' && state === 'active'), {
      what: 'the owner’s reader sees it',
    })
    reader.close()
    if (at === 0) await world.stop()
  }
})

test('devices that send what is no request are cut off, and others are not', async () => {
  const { gateway } = await flat()
  const closes: number[] = []
  for (const frame of ['nonsense', '[]', Buffer.from([1]), '{"jsonrpc":"2.0","method":"gateway.discover"}']) {
    const socket = new WebSocket(`${gateway.url()}/v1/pne`, 'cpns-pne.v1')
    await new Promise(resolve => socket.once('open', resolve))
    const closed = new Promise<number>(resolve => socket.once('close', resolve))
    socket.send(frame)
    closes.push(await closed)
  }
  assert.equal(closes, [4130, 4130, 4130, 4130])
  await pneOf(gateway, 'phone').register()
})

test.run()
