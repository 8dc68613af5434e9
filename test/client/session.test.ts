import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { closings, sessionTicket } from '../../src/access/protocol.ts'
import {
  AnswerLost,
  NotConnected,
  ProtocolViolation,
  RequestRefused,
  ServerNotTrusted,
} from '../../src/client/errors.ts'
import { type ClientPorts, openSession, type SessionOptions, type SessionState } from '../../src/client/session.ts'
import { openWire } from '../../src/client/wire.ts'
import type { Command } from '../../src/federation/command.ts'
import { ConnectFailed, type Socket, type SocketEvents } from '../../src/ports/client-sockets.ts'
import type { KeySource } from '../../src/ports/key-source.ts'
import type { ServerId } from '../../src/ports/names.ts'
import {
  broken,
  clientPorts,
  credentials,
  echo,
  identityOf,
  type Rig,
  type RigOptions,
  refusing,
  sessionAt,
  startRig,
} from '../access/rig.ts'
import { aroundSocket } from '../fixtures/around-socket.ts'
import { ManualClock, settle } from '../fixtures/manual-clock.ts'
import { until } from '../fixtures/until.ts'

/*
 * A session of the SDK tells a refusal from a lost answer, comes back to this or another server of its operator, gives up
 * where coming back is pointless, and never waits for ever. Each test fails if one of these is mistaken for another:
 * whoever repeats a refusal or takes a lost answer for one does harm.
 */
const test = suite('sessions of the SDK')
const ends: (() => unknown)[] = []
test.after.each(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function rigged(options?: RigOptions): Promise<Rig> {
  const rig = await startRig(options)
  ends.push(rig.stop)
  return rig
}

async function connected(rig: Rig, options: Partial<SessionOptions> = {}) {
  const session = await sessionAt(rig.base, 'alice', options)
  ends.push(() => session.close())
  const states: SessionState[] = []
  session.listen({ state: state => states.push(state) })
  return { session, states }
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => assert.unreachable('it succeeded'),
    (error: unknown) => error,
  )

test('calls with typed results; refusals with status, cause and waiting time', async () => {
  const { session } = await connected(await rigged())
  assert.equal(await session.call(echo.spec, { text: 'hi' }), { text: 'alice: hi' })
  const refused = await failureOf(session.call(refusing.spec, { status: 503 }))
  assert.instance(refused, RequestRefused)
  const { method, status, reason, retryAfterMs } = refused as RequestRefused
  assert.equal(
    { method, status, reason, retryAfterMs },
    { method: 'test.refuse', status: 503, reason: 'TESTING', retryAfterMs: 250 },
  )
  const fault = await failureOf(session.call(broken.spec, {}))
  assert.is((fault as RequestRefused).status, 500)
  assert.equal(session.state.kind, 'connected')
})

test('asks as much at once as one likes; what the server does not take yet waits its turn', async () => {
  let most = 0
  let open = 0
  const counting: Command<{ text: string }, { text: string }> = {
    spec: { ...echo.spec, method: 'test.count' },
    async execute({ text }) {
      most = Math.max(most, ++open)
      await new Promise(resolve => setTimeout(resolve, 2))
      open -= 1
      return { text }
    },
  }
  const { session } = await connected(await rigged({ commands: [counting] }))
  const texts = Array.from({ length: 200 }, (_, index) => `${index}`)
  const answers = await Promise.all(texts.map(text => session.call(counting.spec, { text })))
  assert.equal(
    answers.map(({ text }) => text),
    texts,
  )
  assert.is(most, 32)
})

test('an answer that is none of the method’s is a violation, not a value', async () => {
  const { session } = await connected(await rigged())
  const misread = { ...echo.spec, result: sessionTicket.result }
  assert.instance(await failureOf(session.call(misread, { text: 'x' })), ProtocolViolation)
})

test('an answer that does not come in time is lost, and a late one harms nobody', async () => {
  const release = Promise.withResolvers<void>()
  const slow: Command<{ text: string }, { text: string }> = {
    spec: { ...echo.spec, method: 'test.slow' },
    async execute() {
      await release.promise
      return { text: 'late' }
    },
  }
  const { session } = await connected(await rigged({ commands: [slow, echo] }))
  const lost = await failureOf(session.call(slow.spec, { text: 'x' }, { timeoutMs: 50 }))
  assert.instance(lost, AnswerLost)
  assert.match(String(lost), /test\.slow .* 50 ms/)
  release.resolve()
  assert.equal(await session.call(echo.spec, { text: 'next' }), { text: 'alice: next' })
})

test('comes back by itself; what was open is lost, what is asked meanwhile waits', async () => {
  const hanging: Command<{ text: string }, never> = {
    spec: { ...echo.spec, method: 'test.hang', result: refusing.spec.result },
    execute: () => new Promise(() => {}),
  }
  const first = await rigged({ commands: [hanging, echo] })
  const second = await rigged({ server: 1 })
  const { session, states } = await connected(first, { urls: [first.base, second.base] })
  const open = failureOf(session.call(hanging.spec, { text: 'x' }))
  await first.access.stop()
  assert.instance(await open, AnswerLost)
  assert.equal(await session.call(echo.spec, { text: 'still' }), { text: 'alice: still' })
  assert.equal(
    states.map(({ kind }) => kind),
    ['connecting', 'connected'],
  )
  const [lost, found] = states
  assert.match(lost?.kind === 'connecting' ? lost.why : '', /4139/)
  assert.is(found?.kind === 'connected' && found.url, second.base)
})

test('waits between attempts, longer each time and never the same, as long as nobody is there', async () => {
  const delays: number[] = []
  const rig = await rigged()
  const { clock, ...ports } = clientPorts()
  const hurried = {
    ...clock,
    after(ms: number, callback: () => void) {
      if (ms < 5_000 && delays.length < 6) delays.push(ms)
      return clock.after(ms < 5_000 ? 0 : ms, callback)
    },
  }
  const fractions = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
  const crypto = {
    ...ports.crypto,
    randomBytes(length: number) {
      if (length !== 3) return ports.crypto.randomBytes(length)
      return Uint8Array.of(Math.floor((fractions.shift() ?? 0) * 256), 0, 0)
    },
  }
  const session = await openSession({ ...ports, crypto, clock: hurried }, { ...identityOf('alice'), urls: [rig.base] })
  ends.push(() => session.close())
  delays.length = 0
  await rig.access.stop()
  await until(() => delays.length >= 5, { what: 'five attempts' })
  assert.equal(delays.slice(0, 5), [250, 500, 1_000, 2_000, 4_000])
  session.close()
})

/** Ports whose sockets can be closed from here, as any server could. */
function closable() {
  const { sockets, ...rest } = clientPorts()
  const events: SocketEvents[] = []
  const ports: ClientPorts = {
    ...rest,
    sockets: {
      async connect(url, protocols) {
        const socket = await sockets.connect(url, protocols)
        return aroundSocket(socket, {
          listen(listener) {
            events.push(listener)
            socket.listen(listener)
          },
        })
      },
    },
  }
  return { ports, close: (code: number) => events.at(-1)?.closed(code, 'for the test') }
}

test('does not come back where it would only be refused again, and does where not', async () => {
  const rig = await rigged()
  const unknownCodes = { proxy: { code: 1001, retry: true }, network: { code: 1006, retry: true } }
  for (const [closing, { code, retry }] of Object.entries({ ...closings, ...unknownCodes })) {
    const { ports, close } = closable()
    const session = await openSession(ports, { ...identityOf('alice'), urls: [rig.base] })
    ends.push(() => session.close())
    close(code)
    assert.is(session.state.kind, retry ? 'connecting' : 'closed', closing)
    if (!retry) assert.instance(await failureOf(session.call(echo.spec, { text: 'x' })), NotConnected)
    session.close()
  }
})

test('a client that is to stay away stays away', async () => {
  const { ports, close } = closable()
  const rig = await rigged()
  const session = await openSession(ports, { ...identityOf('alice'), urls: [rig.base], reconnect: false })
  close(1006)
  assert.is(session.state.kind, 'closed')
})

test('a subscriber that was removed meanwhile is told so, and gives up', async () => {
  const known = new Map(credentials)
  const keys: KeySource = {
    async find(identity) {
      const credential = known.get(identity)
      return credential && { identity, credential }
    },
  }
  const rig = await rigged({ keys })
  const { ports, close } = closable()
  const { clock } = ports
  const hurried = { ...clock, after: (ms: number, f: () => void) => clock.after(ms < 5_000 ? 0 : ms, f) }
  const session = await openSession({ ...ports, clock: hurried }, { ...identityOf('alice'), urls: [rig.base] })
  known.delete('alice')
  close(1006)
  const state = await until(() => (session.state.kind === 'closed' ? session.state : undefined), {
    what: 'it gives up',
  })
  assert.match(state.why, /identity and the proof/)
})

test('connects to the first server that answers and can be trusted', async () => {
  const [rig, other] = [await rigged(), await rigged({ server: 1 })]
  const gone = 'ws://127.0.0.1:9'
  const only = (urls: string[], servers = identityOf('alice').servers) =>
    openSession(clientPorts(), { ...identityOf('alice'), servers, urls, timeoutMs: 60_000 })
  const expected = [rig, other].map((_, index) => identityOf('alice').servers[index] as ServerId)

  const session = await only([gone, rig.base, other.base], expected.slice(1))
  assert.is(session.state.kind === 'connected' && session.state.url, other.base, 'not the one it does not expect')
  session.close()
  assert.instance(await failureOf(only([gone])), ConnectFailed)
  assert.instance(await failureOf(only([rig.base], expected.slice(1))), ServerNotTrusted)
  assert.instance(await failureOf(only(['http://127.0.0.1'])), ConnectFailed)
  assert.instance(await failureOf(only([])), NotConnected)
})

test('a wrong key is refused with 401, and tried no further', async () => {
  const rig = await rigged()
  const wrong = identityOf('alice', { kind: 'psk', key: new Uint8Array(32) })
  const error = await failureOf(openSession(clientPorts(), { ...wrong, urls: [rig.base] }))
  assert.is((error as RequestRefused).status, 401)
})

test('a closed session fails what waits, at once', async () => {
  const rig = await rigged()
  const { session } = await connected(rig)
  await rig.access.stop()
  await until(() => session.state.kind === 'connecting', { what: 'it is lost' })
  const waiting = failureOf(session.call(echo.spec, { text: 'x' }))
  const impatient = await failureOf(session.call(echo.spec, { text: 'x' }, { timeoutMs: 30 }))
  assert.instance(impatient, NotConnected)
  session.close()
  assert.instance(await waiting, NotConnected)
  assert.instance(await failureOf(session.call(echo.spec, { text: 'x' })), NotConnected)
})

test('a connection on which nothing comes is taken for dead', async () => {
  const clock = new ManualClock()
  let events: SocketEvents | undefined
  const closes: number[] = []
  const socket: Socket = {
    send: () => {},
    bufferedBytes: () => 0,
    close: code => closes.push(code),
    listen: listener => {
      events = listener
    },
  }
  const ended: string[] = []
  const wire = openWire(socket, clock, { closed: (_code, reason) => ended.push(reason) })
  wire.expectEvery(1_000)
  const open = failureOf(wire.call(echo.spec, { text: 'x' }, 60_000))
  for (let second = 0; second < 5; second++) {
    clock.advance(1_000)
    events?.message('{"jsonrpc":"2.0","method":"session.alive","params":{}}')
  }
  assert.equal(ended, [])
  clock.advance(4_000)
  assert.is(ended.length, 1)
  assert.is(closes.length, 1)
  assert.instance(await open, AnswerLost)
  assert.is(clock.pending, 0)
})

test('frames that nobody expects are passed over', async () => {
  const clock = new ManualClock()
  let events: SocketEvents | undefined
  const sent: (string | Uint8Array)[] = []
  const socket: Socket = {
    send: frame => sent.push(frame),
    bufferedBytes: () => 0,
    close: () => {},
    listen: listener => {
      events = listener
    },
  }
  const wire = openWire(socket, clock)
  const answer = wire.call(echo.spec, { text: 'x' }, 1_000)
  for (const frame of ['nonsense', '[]', '{"jsonrpc":"2.0","id":99,"result":1}', Uint8Array.of(1, 2)])
    events?.message(frame)
  events?.message('{"jsonrpc":"2.0","id":5,"method":"do.something"}')
  events?.message('{"jsonrpc":"2.0","id":1,"result":{"text":"there"}}')
  events?.message('{"jsonrpc":"2.0","id":1,"result":{"text":"twice"}}')
  assert.equal(await answer, { text: 'there' })
  await settle()
  assert.is(sent.length, 1)
})

test.run()
