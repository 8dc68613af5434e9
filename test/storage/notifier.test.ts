/*
 * Proves, for random histories of changes, synchronisations, connections and busy push services, under virtual time: a device is
 * told only when somebody else has changed something since it was told or synchronised; never more often than its window allows;
 * and in the end every device that can be reached knows of every change. A model of a few lines says what may be told; what
 * runs is message storage itself, on real documents.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createActorSystem } from '../../src/actor/system.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { serverIdentity } from '../../src/adapters/identity.ts'
import { memoryLogStore } from '../../src/adapters/memory-log-store.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import { createDocuments } from '../../src/document/create-documents.ts'
import type { ClientConnection, MethodSpec } from '../../src/federation/command.ts'
import type { Federation } from '../../src/federation/federation.ts'
import { operatorId } from '../../src/ports/names.ts'
import { SimulatedPush, type SimulatedPushDevice } from '../../src/simulation/push.ts'
import { createStorage } from '../../src/storage/create-storage.ts'
import { deviceAttach, deviceRegister, deviceSubscribePush, deviceVapidKey } from '../../src/storage/methods/devices.ts'
import { messageDeposit } from '../../src/storage/methods/objects.ts'
import { mailboxSync } from '../../src/storage/methods/sync.ts'
import { userRegister } from '../../src/storage/methods/users.ts'
import { ManualClock, settle } from '../fixtures/manual-clock.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { message } from './storage-world.ts'

const crypto = nodeCrypto()
const a = operatorId('a.example')
const alice = { operator: a, user: 'alice' }
const coalesceMs = 5_000
const maxCoalesceMs = 60_000

/** One of them on connections alone, one by Web Push, one both ways with time to itself. */
const devices = { laptop: 'websocket', watch: 'push', phone: 'push' } as const
type Device = keyof typeof devices
const quiet: Readonly<Record<Device, number>> = { laptop: 0, watch: 0, phone: 12_000 }
const names = Object.keys(devices) as Device[]

/** What the model knows of a device. */
interface Known {
  /**
   * Whether others have changed something since it was told, synchronised or attached; `maybe` when it was told while they were
   * at it.
   */
  news: 'none' | 'maybe' | 'some'
  told: number
  lastToldMs: number | undefined
  unanswered: number
  connection: { readonly end: () => void } | undefined
}

class Rig {
  readonly clock = new ManualClock()
  readonly known = new Map<Device, Known>(
    names.map(name => [name, { news: 'none', told: 0, lastToldMs: undefined, unanswered: 0, connection: undefined }]),
  )
  /** What may not be, as it was seen: a server goes on whatever a connection throws. */
  readonly wrong: string[] = []
  readonly #random = seededRandom('notifier')
  readonly #push = new SimulatedPush({ clock: this.clock, crypto, random: this.#random, delayMs: 0 })
  readonly #actors = createActorSystem({ clock: this.clock, random: this.#random })
  readonly #pushed = new Map<Device, SimulatedPushDevice>()
  readonly #storage: ReturnType<typeof createStorage>
  #commands = 0
  #changedMs: number | 'now' | undefined

  constructor() {
    const { clock } = this
    const identity = serverIdentity(a, new Uint8Array(32).fill(1), crypto)
    const store = memoryLogStore()
    const ports = {
      clock,
      crypto,
      random: this.#random,
      store,
      actors: this.#actors,
      telemetry: new RecordingTelemetry(),
    }
    const authorship = { mayHaveWritten: () => true, servers: () => [identity.server] }
    const documents = createDocuments({ ...ports, operator: a, identity, authorship })
    this.#storage = createStorage({
      ...ports,
      operator: a,
      server: identity.server,
      documents,
      secrets: { macKeys: [{ version: 1, key: new Uint8Array(32).fill(3) }] },
      push: {
        senderKey: secret => this.#push.senderKey(secret),
        objection: endpoint => this.#push.objection(endpoint),
        send: async sent => {
          const isInBetween = this.#isInBetween()
          const outcome = await this.#push.send(sent)
          const { endpoint } = sent.subscription
          const to = names.find(name => this.#pushed.get(name)?.subscription.endpoint === endpoint)
          if (outcome.kind === 'delivered' && to) this.#told(to, isInBetween)
          return outcome
        },
      },
      keys: {
        find: async identity => ({
          identity,
          credential: { kind: 'psk', key: new Uint8Array(32) },
          rights: ['provision', 'deposit'],
        }),
      },
      policy: { notifications: { coalesceMs, maxCoalesceMs } },
    })
    const alone: Pick<Federation, 'linked' | 'links' | 'handle' | 'subscribe'> = {
      linked: () => [],
      links: () => [],
      handle: () => {},
      subscribe: () => () => {},
    }
    this.#storage.join(alone as Federation)
  }

  async #call<P, R>(spec: MethodSpec<P, R>, params: object, connection?: ClientConnection): Promise<R> {
    const command = this.#storage.commands.find(({ spec: { method } }) => method === spec.method)
    if (!command) throw new Error(`There is no ${spec.method}.`)
    let outcome: { value: unknown } | { error: unknown } | undefined
    command
      .execute(spec.params.parse(params), { operator: a, identity: 'alice' }, undefined, connection && { connection })
      .then(
        value => {
          outcome = { value }
        },
        error => {
          outcome = { error }
        },
      )
    for (let turn = 0; !outcome; turn++) {
      if (turn > 1_000) throw new Error(`${spec.method} does not end.`)
      await settle()
    }
    if ('error' in outcome) throw outcome.error
    return outcome.value as R
  }

  #command() {
    return { commandId: `command-${String(++this.#commands).padStart(16, '0')}`, ...alice }
  }

  async start(): Promise<void> {
    await this.#storage.start()
    await this.#call(userRegister, {
      commandId: 'register-alice-0001',
      user: 'alice',
      addresses: ['tel:+4930123456'],
      subscribers: [{ operator: a, identity: 'alice', rights: ['read', 'write', 'deposit'] }],
    })
    for (const device of names) {
      const wishes = { notify: devices[device], quietMs: quiet[device] }
      await this.#call(deviceRegister, { ...this.#command(), device, name: device, ...wishes })
    }
    await this.#call(messageDeposit, { ...this.#command(), object: message('first') })
    for (const device of names) if (devices[device] === 'push') await this.#subscribe(device)
    await this.clock.run(0)
  }

  async #subscribe(device: Device): Promise<void> {
    const { key } = await this.#call(deviceVapidKey, this.#command())
    const pushed = this.#push.subscribe(new Uint8Array(Buffer.from(key, 'base64url')))
    const { endpoint, p256dh, auth } = pushed.subscription
    const subscription = { endpoint, p256dh: toBase64url(p256dh), auth: toBase64url(auth), applicationServerKey: key }
    await this.#call(deviceSubscribePush, { ...this.#command(), device, subscription })
    this.#pushed.set(device, pushed)
  }

  of(device: Device): Known {
    const known = this.known.get(device)
    if (!known) throw new Error(`There is no ${device}.`)
    return known
  }

  /** Whether the device can be told now. */
  isReachable(device: Device): boolean {
    return devices[device] === 'push' || this.of(device).connection !== undefined
  }

  /** Changes are being made, or were in this very moment: who is told now may not know of all of them. */
  #isInBetween(): boolean {
    return this.#changedMs === 'now' || this.#changedMs === this.clock.elapsed()
  }

  #told(device: Device, isInBetween = this.#isInBetween()): void {
    const known = this.of(device)
    const nowMs = this.clock.elapsed()
    if (known.news === 'none') this.wrong.push(`${device} is told of nothing`)
    if (!this.isReachable(device)) this.wrong.push(`${device} is told on a connection that has ended`)
    if (known.lastToldMs !== undefined) {
      const windowMs = known.unanswered === 0 ? 0 : Math.min(coalesceMs * 2 ** (known.unanswered - 1), maxCoalesceMs)
      const leastMs = Math.max(windowMs, quiet[device])
      const passedMs = nowMs - known.lastToldMs
      if (passedMs < leastMs) this.wrong.push(`${device} is told again after ${passedMs} of ${leastMs} ms`)
    }
    known.told += 1
    known.news = isInBetween ? 'maybe' : 'none'
    // After a minute in which nothing is to be done the server may have forgotten how often it has told.
    const isRested = known.lastToldMs !== undefined && nowMs - known.lastToldMs >= 60_000
    known.unanswered = isRested ? 1 : known.unanswered + 1
    known.lastToldMs = nowMs
  }

  /** A device, or the participating function, changes something; several times at once. */
  async change(by: Device | undefined, times: number): Promise<void> {
    for (const [device, known] of this.known) if (device !== by) known.news = 'some'
    this.#changedMs = 'now'
    const one = (at: number) =>
      this.#call(messageDeposit, { ...this.#command(), ...(by && { device: by }), object: message(`text ${at}`) })
    await Promise.all(Array.from({ length: times }, (_, at) => one(at)))
    this.#changedMs = this.clock.elapsed()
    await this.clock.run(1)
  }

  async sync(device: Device): Promise<void> {
    await this.#call(mailboxSync, { ...alice, device, limit: 2_000 })
    Object.assign(this.of(device), { news: 'none', unanswered: 0 })
    await this.clock.run(1)
  }

  async attach(device: Device): Promise<void> {
    const known = this.of(device)
    if (known.connection) return
    let end = () => {}
    const connection: ClientConnection = {
      tell: () => this.#told(device),
      onEnd(listener) {
        end = listener
        return () => {}
      },
    }
    known.news = 'none'
    known.connection = { end: () => end() }
    await this.#call(deviceAttach, { ...alice, device }, connection)
    await this.clock.run(1)
  }

  async detach(device: Device): Promise<void> {
    const known = this.of(device)
    known.connection?.end()
    known.connection = undefined
    await this.clock.run(1)
  }

  /** Its push service takes nothing for a while. */
  async busy(device: Device, forMs: number): Promise<void> {
    const pushed = this.#pushed.get(device)
    if (pushed) pushed.answer = { kind: 'retry', reason: 'busy' }
    await this.clock.run(forMs)
    if (pushed) pushed.answer = { kind: 'delivered' }
  }

  async stop(): Promise<void> {
    const stopped = this.#storage.stop().then(() => this.#actors.drain())
    await this.clock.run(1_000)
    await stopped
  }
}

type Step =
  | { readonly do: 'change'; readonly by: Device | undefined; readonly times: number }
  | { readonly do: 'sync' | 'attach' | 'detach'; readonly device: Device }
  | { readonly do: 'busy'; readonly device: Device; readonly forMs: number }
  | { readonly do: 'wait'; readonly forMs: number }

const device = fc.constantFrom(...names)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('change' as const),
      by: fc.option(device, { nil: undefined }),
      times: fc.integer({ min: 1, max: 8 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('sync' as const, 'attach' as const, 'detach' as const), device }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('busy' as const), device, forMs: fc.nat(4_000) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), forMs: fc.nat(90_000) }) },
)

async function take(rig: Rig, step: Step): Promise<void> {
  switch (step.do) {
    case 'change':
      return rig.change(step.by, step.times)
    case 'busy':
      return rig.busy(step.device, step.forMs)
    case 'wait':
      return rig.clock.run(step.forMs)
    default:
      return rig[step.do](step.device)
  }
}

const test = suite('notifier')

test('tells of what others have changed, no more often than it may, and in the end of everything', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async steps => {
      const rig = new Rig()
      await rig.start()
      for (const step of steps) await take(rig, step)
      await rig.clock.run(600_000)
      assert.equal(rig.wrong, [])
      for (const device of names)
        if (rig.isReachable(device)) assert.is.not(rig.of(device).news, 'some', `${device} was not told`)
      await rig.stop()
    }),
    { numRuns: 40, verbose: true },
  )
})

test('1,000 changes in a second are one notification, or two', async () => {
  const rig = new Rig()
  await rig.start()
  await rig.attach('laptop')
  for (let batch = 0; batch < 100; batch++) await rig.change(undefined, 10)
  await rig.clock.run(600_000)
  for (const device of names) {
    const { told, news } = rig.of(device)
    assert.ok(told >= 1 && told <= 2 && news !== 'some', `${device} was told ${told} times`)
  }
  assert.equal(rig.wrong, [])
  await rig.stop()
})

test.run()
