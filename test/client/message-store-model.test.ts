import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type ReplicaMemory, replicaMemory } from '../../src/adapters/memory-replica-store.ts'
import type { MailObject, MessageStore } from '../../src/client/node.ts'
import type { Flag, Scope } from '../../src/storage/fields.ts'
import { type StoredObject, storedObject } from '../../src/storage/objects.ts'
import { isInScope } from '../../src/storage/sync/scope.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { aliceAddress, bobAddress, message, StorageWorld } from '../storage/storage-world.ts'
import { openDevice } from './message-store-device.ts'

/*
 * Proves, over random histories: whatever the devices of a user do, online and offline, ended in the middle and begun again,
 * at servers that are cut off from each other, crash, or have forgotten their tokens, on networks that are metered now and then
 * not; in the end no change was missed or made
 * twice: every device holds what is in its scope of what a new device gets; each flag is as the latest intent has it; what
 * was expunged is gone, and nothing else is. Production nodes in the simulator; a history that fails is named by its seed.
 */
const test = suite('devices in step')

const servers = ['a.example/1', 'a.example/2'] as const
const flags: readonly Flag[] = ['\\Seen', '\\Flagged', '\\Answered']
const scopes: readonly Scope[] = [{}, { without: ['\\Seen'] }, { kind: 'conversation', direction: 'in' }]
const steps = 40
const sentAt = 1_795_000_000_000

interface Device {
  readonly name: string
  readonly scope: Scope
  readonly memory: ReplicaMemory
  store: MessageStore
}

/** One random history, with what it should come to. */
class History {
  readonly #world: StorageWorld
  readonly #random: ReturnType<typeof seededRandom>
  readonly devices: Device[] = []
  /** For each object, the latest intent for each flag. */
  readonly #intents = new Map<string, Map<Flag, { readonly time: number; readonly on: boolean }>>()
  readonly #made = new Set<string>()
  readonly #expunged = new Set<string>()
  #count = 0
  /** Says at each step whether the network is metered; absent: it never is. */
  readonly #metered: ReturnType<typeof seededRandom> | undefined

  constructor(world: StorageWorld, seed: number, isMetered = false) {
    this.#world = world
    this.#metered = isMetered ? seededRandom(`metered ${seed}`) : undefined
    this.#random = seededRandom(`devices in step ${seed}`)
  }

  #below = (bound: number): number => Math.floor(this.#random.fraction() * bound)
  #of = <T>(choices: readonly T[]): T => choices[this.#below(choices.length)] as T

  async begin(): Promise<void> {
    await this.#world.registerAlice()
    await this.#world.converged()
    for (const [at, scope] of scopes.entries()) {
      const [name, memory] = [`device-${at}`, replicaMemory()]
      this.devices.push({ name, scope, memory, store: await this.#open(name, scope, memory) })
    }
  }

  #open(name: string, scope: Scope, memory: ReplicaMemory): Promise<MessageStore> {
    const order = this.#random.fraction() < 0.5 ? servers : [...servers].reverse()
    const pageSize = this.#of([2, 5, 500])
    return openDevice(this.#world, name, order, { scope, memory, sync: { pageSize, everyMs: 20_000 } })
  }

  async step(): Promise<void> {
    const device = this.#of(this.devices)
    const [dice, { store }] = [this.#below(100), device]
    if (this.#metered) store.setMetered(this.#metered.fraction() < 0.6)
    if (dice < 20) await this.#receive()
    else if (dice < 50) await this.#flag(store)
    else if (dice < 56) await this.#send(store)
    else if (dice < 59) await this.#expunge(store)
    else if (dice < 68) await this.#file(store)
    else if (dice < 72) store.goOffline()
    else if (dice < 82) store.goOnline()
    else if (dice < 87) await this.#restart(device)
    else if (dice < 90) this.#world.partition(...servers.map(server => [server]))
    else if (dice < 94) this.#world.heal()
    else if (dice < 96) await this.#crash()
    else if (dice < 98) store.goElsewhere()
    else this.#forgetToken(device)
    await this.#world.pass(this.#of([5, 5, 200, 3_000]))
  }

  /** The server is back before the next one goes. */
  async #crash(): Promise<void> {
    this.#world.crash(this.#of(servers), 500)
    await this.#world.pass(this.#of([600, 3_000]))
  }

  async #receive(): Promise<void> {
    this.#count++
    const conversationId = this.#of(['lunch', 'work/Ünïcode'])
    const more = { conversationId, date: sentAt + this.#below(1_000), imdnMessageId: `imdn-${this.#count}` }
    const server = this.#of(servers)
    const { id } = await this.#world.deposit(`Message ${this.#count}`, more, server)
    this.#made.add(id)
    // The same one comes once more, perhaps where nobody knows it yet.
    if (this.#random.fraction() < 0.3) await this.#world.deposit(`Message ${this.#count}`, more, this.#of(servers))
  }

  async #send(store: MessageStore): Promise<void> {
    this.#count++
    const sent = message(`Sent ${this.#count}`, { direction: 'out', from: aliceAddress, to: [bobAddress] })
    this.#made.add(await store.deposit({ ...sent, date: sentAt + this.#below(1_000) }))
  }

  async #flag(store: MessageStore): Promise<void> {
    const object = this.#of(await this.#conversationsOf(store))
    if (!object) return
    const [flag, on] = [this.#of(flags), this.#random.fraction() < 0.6]
    await (on ? store.setFlag(object.id, flag) : store.clearFlag(object.id, flag))
    const time = store.waiting.at(-1)?.time ?? 0
    const known = this.#intents.get(object.id) ?? new Map()
    this.#intents.set(object.id, known)
    if (time > (known.get(flag)?.time ?? 0)) known.set(flag, { time, on })
    const shown = await store.get(object.id)
    assert.is(shown?.flags.includes(flag), on, 'what is done is shown')
  }

  async #expunge(store: MessageStore): Promise<void> {
    const object = this.#of(await this.#conversationsOf(store))
    if (!object) return
    await store.expunge(object.id)
    this.#expunged.add(object.id)
    assert.is(await store.get(object.id), undefined)
  }

  /** Makes folders, copies something into them, and moves it about. */
  async #file(store: MessageStore): Promise<void> {
    const folders = await store.folders()
    const from = folders.length > 1 ? this.#of(folders) : undefined
    const [object] = from ? await store.objects(from.container) : []
    if (object) return store.move(object.id, this.#of(folders).container)
    const into = folders.length > 1 ? this.#of(folders).container : await store.createFolder(`Folder ${++this.#count}`)
    const kept = this.#of(await this.#conversationsOf(store))
    if (kept) await store.copy(kept.id, into)
  }

  /** The device ends without a word, as when it is switched off, and comes back with what it had kept. */
  async #restart(device: Device): Promise<void> {
    const kept: ReplicaMemory = { records: new Map(device.memory.records), isOpen: false }
    const before = JSON.stringify(await contentOf(device.store))
    void device.store.close()
    device.memory.records.clear()
    for (const [key, value] of kept.records) device.memory.records.set(key, value)
    await this.#world.pass(1)
    device.memory.isOpen = false
    device.store = await this.#open(device.name, device.scope, device.memory)
    assert.is(JSON.stringify(await contentOf(device.store)), before, 'what was shown is there again')
  }

  /** What it held may be of another life of the mailbox: servers begin anew with it. */
  #forgetToken({ memory, store }: Device): void {
    store.goOffline()
    const state = JSON.parse(memory.records.get('state') ?? '{}')
    if (state.token === undefined) return
    memory.records.set('state', JSON.stringify({ ...state, token: 'bm90IGEgdG9rZW4' }))
  }

  async #conversationsOf(store: MessageStore): Promise<readonly MailObject[]> {
    const conversations = await store.conversations()
    const all = await Promise.all(conversations.map(({ container }) => store.objects(container, { limit: 1_000 })))
    return all.flat()
  }

  /** Everything is reachable again, and everybody has come to an end. */
  async settle(): Promise<void> {
    this.#world.heal()
    for (const { store } of this.devices) {
      store.setMetered(false)
      store.goOnline()
    }
    await this.#world.until(() => this.devices.every(({ store }) => store.waiting.length === 0), 'all changes are told')
    await this.#world.converged()
    for (const { store } of this.devices) await this.#world.inside(() => insist(store))
  }

  async check(): Promise<void> {
    const fresh = await openDevice(this.#world, 'fresh', servers, {})
    await this.#world.inside(() => insist(fresh))
    const truth = await contentOf(fresh)
    for (const { name, scope, store } of this.devices) {
      const wanted = truth.filter(object => isInScope(object, scope))
      const [here, there] = [await contentOf(store), wanted].map(all => all.map(each => JSON.stringify(each)))
      const extra = here?.filter(each => !there?.includes(each))
      const missing = there?.filter(each => !here?.includes(each))
      assert.equal({ extra, missing }, { extra: [], missing: [] }, `${name} has what is in its scope`)
      await this.#assertCounts(store)
    }
    const there = new Set(truth.map(({ id }) => id))
    for (const id of this.#made) assert.is(there.has(id), !this.#expunged.has(id), `${id} is there unless expunged`)
    for (const [id, intents] of this.#intents) {
      const object = truth.find(object => object.id === id)
      for (const [flag, { on }] of object ? intents : [])
        assert.is(object?.flags.includes(flag), on, `${flag} of ${id}`)
    }
    for (const { store } of [...this.devices, { store: fresh }]) await this.#world.inside(() => store.close())
  }

  async #assertCounts(store: MessageStore): Promise<void> {
    for (const { container, objects, unseen } of [...(await store.conversations()), ...(await store.folders())]) {
      const all = await store.objects(container, { limit: 1_000 })
      const isUnseen = ({ flags, ...object }: MailObject) =>
        object.content === 'full' && object.direction === 'in' && !flags.includes('\\Seen')
      assert.equal([objects, unseen], [all.length, all.filter(isUnseen).length], `counts of ${container}`)
    }
  }
}

/** All objects of a device, by container and id. */
async function contentOf(store: MessageStore): Promise<StoredObject[]> {
  const containers = [...(await store.conversations()), ...(await store.folders())]
  const objects = await Promise.all(containers.map(({ container }) => store.objects(container, { limit: 1_000 })))
  return objects
    .flat()
    .flatMap(object => (object.content === 'full' ? [object] : []))
    .map(({ content: _, waits: __, ...object }) => storedObject.parse({ ...object, flags: [...object.flags].sort() }))
    .sort((a, b) => (a.container + a.id < b.container + b.id ? -1 : 1))
}

/** Syncs until the server has everything. */
async function insist(store: MessageStore): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const result = await store.sync().catch(() => undefined)
    if (result && !result.isLagging && store.waiting.length === 0) return
  }
  throw new Error('It does not come to an end.')
}

/** Those that have found something. */
for (const seed of [12, 19, 20, 39, 40, 48, 260])
  test(`history of seed ${seed}`, async () => {
    const world = await StorageWorld.start({ 'a.example': 2 }, {}, seed)
    const history = new History(world, seed)
    await history.begin()
    for (let step = 0; step < steps; step++) await history.step()
    await history.settle()
    await history.check()
  })

for (const seed of [1, 2, 3, 113, 122])
  test(`history of seed ${seed}, on networks that are metered now and then`, async () => {
    const world = await StorageWorld.start({ 'a.example': 2 }, {}, seed)
    const history = new History(world, seed, true)
    await history.begin()
    for (let step = 0; step < steps; step++) await history.step()
    await history.settle()
    await history.check()
  })

test.run()
