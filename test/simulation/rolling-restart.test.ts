/*
 * Proves: an operator that starts its three servers anew, one after another, loses no message and doubles none. While each of them
 * is drained and started again, devices of a user and a network function deposit at whichever server they are, and application
 * servers send to channels. In the end each deposit that was acknowledged is in the mailbox once, at every server and on every
 * device; each message that was taken for a channel was given to its application once; and there is nothing else. No client was
 * without a server meanwhile. It holds too where each server comes back on another machine, without what its disk held: that
 * fails if a server says that it has drained while it alone holds something. Production nodes in the simulator, the SDK; a history
 * that fails is named by its seed.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { MessageStore } from '../../src/client/message-store/message-store.ts'
import type { Random } from '../../src/ports/random.ts'
import { SimulatedClient } from '../../src/simulation/federation/client.ts'
import { messageDeposit } from '../../src/storage/methods/objects.ts'
import { type App, ChannelWorld, operator } from '../channels/channel-world.ts'
import { openDevice } from '../client/message-store-device.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { alice, aliceAddress, bobAddress, message, type StorageWorld } from '../storage/storage-world.ts'

const servers = ['a.example/1', 'a.example/2', 'a.example/3'] as const
const places = [...servers.keys()]
/** Between two messages of one writer. */
const pauseMs = { least: 200, most: 1_200 }
/** An application takes up to so long for a message, so that some are under way when its server goes. */
const dealingMs = 800
const test = suite('rolling restart')

const from = <T>(all: readonly T[], at: number): T[] => [...all.slice(at), ...all.slice(0, at)]

/** What a server finds on its disk when it starts again. */
type Disk = 'its own disk' | 'an empty disk'

/** Clients of each kind, one that prefers each server, so that every server that goes has some; and what became of what they sent. */
class Restart {
  readonly #channels: ChannelWorld
  readonly #world: StorageWorld
  readonly #random: Random
  readonly #devices: MessageStore[] = []
  readonly #apps: App[] = []
  readonly #functions: readonly SimulatedClient[]
  /** Texts of what is to be in the mailbox. */
  readonly #deposited: string[] = []
  /** Texts of what is to be given to each application. */
  readonly #sent = new Map<App, string[]>()
  /** Who was refused, or without a server. */
  readonly #troubles: string[] = []
  #writers: readonly Promise<void>[] = []
  #isOver = false

  private constructor(channels: ChannelWorld, seed: number) {
    this.#channels = channels
    this.#world = channels.world
    this.#random = seededRandom(`rolling restart ${seed}`)
    const { federation } = this.#world
    const owner = federation.operator(operator)
    this.#functions = places.map(
      at => new SimulatedClient(federation.world, owner, 'function', `function-${at}`, from(places, at)),
    )
  }

  static async begin(seed: number): Promise<Restart> {
    const restart = new Restart(await ChannelWorld.start(servers.length, {}, seed), seed)
    await restart.#world.registerAlice()
    await restart.#world.converged()
    for (const at of places) await restart.#attach(at)
    await restart.#write()
    return restart
  }

  #below = (bound: number): number => Math.floor(this.#random.fraction() * bound)
  #of = <T>(choices: readonly T[]): T => choices[this.#below(choices.length)] as T

  async #attach(at: number): Promise<void> {
    const device = await openDevice(this.#world, `device-${at}`, from(servers, at), {
      onEvent: event => {
        if (event.kind === 'refused') this.#troubles.push(`device-${at} is refused: ${JSON.stringify(event.why)}`)
        if (event.kind === 'connection' && event.connection.kind !== 'online' && this.#isWriting)
          this.#troubles.push(`device-${at} is ${event.connection.kind}`)
      },
    })
    this.#devices.push(device)
    await this.#world.until(() => device.connection.kind === 'online', 'the device is online')
    const app = await this.#channels.app(`subscriber-${at}`, from(places, at), {}, () => this.#below(dealingMs))
    app.session.listen({
      state: state => {
        if (state.kind !== 'connected') this.#troubles.push(`${app.client.name} is ${state.kind}: ${state.why}`)
      },
    })
    this.#apps.push(app)
    this.#sent.set(app, [])
  }

  get #isWriting(): boolean {
    return this.#writers.length > 0
  }

  /** Each writes one message after another, from now on. */
  #write(): Promise<void> {
    return this.#world.inside(async () => {
      this.#writers = [
        ...this.#functions.map((each, at) => this.#writing(each, `received-${at}`, text => this.#receive(text))),
        ...this.#devices.map((device, at) =>
          this.#writing(this.#functions[at], `own-${at}`, text => this.#deposit(device, text)),
        ),
        ...this.#apps.map((app, at) => this.#writing(app.client, `sent-${at}`, text => this.#send(app, text))),
      ]
    })
  }

  async #writing(by: SimulatedClient | undefined, kind: string, write: (text: string) => Promise<void>): Promise<void> {
    try {
      for (let number = 0; !this.#isOver; number++) {
        await write(`${kind}-${number}`)
        await by?.pause(pauseMs.least + this.#below(pauseMs.most - pauseMs.least))
      }
    } catch (error) {
      this.#troubles.push(`${kind} ended: ${error}`)
    }
  }

  /** Now and then an answer does not come through, and what was taken is said again, elsewhere. */
  #isLost = (): boolean => this.#below(5) === 0

  async #receive(text: string): Promise<void> {
    const deposit = { commandId: `deposit-of-${text}`.padEnd(32, '-'), ...alice, object: message(text) }
    do await this.#of(this.#functions).insist(messageDeposit, deposit)
    while (this.#isLost())
    this.#deposited.push(text)
  }

  /** The device keeps it until a server has taken it. */
  async #deposit(device: MessageStore, text: string): Promise<void> {
    await device.deposit(message(text, { direction: 'out', from: aliceAddress, to: [bobAddress] }))
    this.#deposited.push(text)
  }

  async #send(app: App, text: string): Promise<void> {
    for (;;) {
      const answer = await this.#channels.posting(app, text, this.#of(servers), { key: text }).catch(() => undefined)
      if (answer && answer.status < 300 && !this.#isLost()) break
      await app.client.pause(200)
    }
    this.#sent.get(app)?.push(text)
  }

  /** Drains one server, stops it and starts it again, as an operator does, while everybody else goes on. */
  async restart(name: string, disk: Disk): Promise<void> {
    const [world, server] = [this.#world, this.#world.server(name)]
    await world.pass(this.#below(2_000))
    const drained = await world.inside(async () => server.node?.drain())
    assert.equal(drained, { clientsClosed: 0, alone: [], isSure: true }, `${name} is drained`)
    await world.inside(async () => server.stop())
    await world.until(() => !server.host.run, `${name} has ended`)
    if (disk === 'an empty disk')
      await world.inside(async () => server.crash({ of: 'machine', disk: { kind: 'lose' } }))
    await world.pass(this.#below(5_000))
    await world.inside(async () => server.start())
    await world.linked()
  }

  /** Nobody writes any more, and everything has come where it goes. */
  async settle(): Promise<void> {
    this.#isOver = true
    const [world, devices, apps] = [this.#world, this.#devices, this.#apps]
    await world.inside(() => Promise.all(this.#writers))
    await world.until(() => devices.every(({ waiting }) => waiting.length === 0), 'all deposits are taken')
    await world.converged()
    const isGiven = (app: App) => (this.#sent.get(app) ?? []).every(text => app.texts.includes(text))
    await world.until(() => apps.every(isGiven), 'all messages are given')
    // What was to come twice has come by then.
    await world.pass(30_000)
  }

  async check(): Promise<void> {
    assert.equal(this.#troubles, [])
    const deposited = this.#deposited.sort()
    for (const server of servers) {
      const { created } = await this.#world.sync({}, server)
      const texts = created.map(object => ('text' in object ? object.text : undefined))
      assert.equal(texts.sort(), deposited, `in the mailbox at ${server}`)
    }
    for (const [at, device] of this.#devices.entries()) {
      await this.#world.inside(() => device.sync())
      assert.equal((await textsOn(device)).sort(), deposited, `on device ${at}`)
      await this.#world.inside(() => device.close())
    }
    for (const [app, sent] of this.#sent) assert.equal([...app.texts].sort(), sent.sort(), `to ${app.client.name}`)
  }
}

async function textsOn(device: MessageStore): Promise<(string | undefined)[]> {
  const containers = [...(await device.conversations()), ...(await device.folders())]
  const objects = await Promise.all(containers.map(({ container }) => device.objects(container, { limit: 10_000 })))
  return objects.flat().map(object => (object.content === 'full' ? object.text : undefined))
}

for (const [seed, disk] of [
  [1, 'its own disk'],
  [2, 'an empty disk'],
  [3, 'an empty disk'],
] as const)
  test(`seed ${seed}: each starts again with ${disk}`, async () => {
    const restart = await Restart.begin(seed)
    for (const server of servers) await restart.restart(server, disk)
    await restart.settle()
    await restart.check()
  })

test.run()
