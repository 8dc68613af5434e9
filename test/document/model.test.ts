import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Register } from '../../src/document/documents.ts'
import { openStoredEntry } from '../../src/document/entry.ts'
import { isLater } from '../../src/document/registers-view.ts'
import { versionOf } from '../../src/document/version.ts'
import type { LogId } from '../../src/ports/names.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { DocumentServer, home, KnownOperators } from './document-server.ts'

/*
 * The document layer against a model of what it promises, over random histories: three servers of the owner write, remove,
 * restart, fail and compact; they and two replicas of other operators hear of one another in any order, late, twice or
 * never. Then
 *
 *   - replicas with equal digests have equal content, at every moment, and all are equal once they have spoken;
 *   - a reader never sees a register that he has seen replaced, and no acknowledged register is lost;
 *   - honest servers refuse nothing of one another;
 *   - once every writer has compacted, what was overwritten or removed is in no store; and with receipts, no mark either.
 *
 * A history that breaks one of these is printed with its seed, as short as it can be made.
 */

const a = testOperator('a.example', 3)
const b = testOperator('b.example')
const c = testOperator('c.example')

/** Servers by number: those below `writers` write, the others hold replicas. Numbers wrap round. */
interface Cast {
  readonly writers: number
  readonly readers: number
  /** Whether the writers' clocks differ. */
  readonly skewed: boolean
  readonly seed: number
}

type Step =
  | { readonly do: 'write'; readonly at: number; readonly key: number; readonly how: Writing }
  | { readonly do: 'remove'; readonly at: number; readonly key: number }
  | { readonly do: 'restart'; readonly at: number }
  | { readonly do: 'compact'; readonly at: number }
  | {
      readonly do: 'send'
      readonly from: number
      readonly to: number
      readonly how: Delivery
      readonly shuffle: number
    }
  | { readonly do: 'deliver'; readonly which: number; readonly how: Delivery; readonly shuffle: number }
  | { readonly do: 'receipt'; readonly of: number; readonly to: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'retire' }

/** A plain write, a command given a second earlier, or one that the disk refuses, or fails on before the power goes. */
type Writing = 'now' | 'offline' | Fault
type Fault = 'refused' | 'lost' | 'kept'
/** What arrives of what was sent: all of it, all of it now and again later, or a part first and the rest later. */
type Delivery = 'all' | 'twice' | 'half' | 'one log' | 'later'

const keys = 2
const number = fc.nat(59)
const key = fc.nat(keys - 1)
const shuffle = fc.nat(1_000)
const delivery = fc.constantFrom<Delivery>('all', 'twice', 'half', 'one log', 'one log', 'later')
const writing = fc.constantFrom<Writing>(
  'now',
  'now',
  'now',
  'now',
  'now',
  'offline',
  'offline',
  'refused',
  'lost',
  'kept',
)

function steps<const Name extends string, T>(
  weight: number,
  name: Name,
  fields: { [K in keyof T]: fc.Arbitrary<T[K]> },
) {
  return { weight, arbitrary: fc.record(fields).map(rest => ({ do: name, ...rest })) }
}
const step: fc.Arbitrary<Step> = fc.oneof(
  steps(6, 'write', { at: number, key, how: writing }),
  steps(2, 'remove', { at: number, key }),
  steps(1, 'restart', { at: number }),
  steps(3, 'compact', { at: number }),
  steps(9, 'send', { from: number, to: number, how: delivery, shuffle }),
  steps(4, 'deliver', { which: number, how: delivery, shuffle }),
  steps(2, 'receipt', { of: number, to: number }),
  steps(1, 'wait', { ms: fc.nat(5_000) }),
  { weight: 1, arbitrary: fc.constant({ do: 'retire' as const }) },
)
const cast: fc.Arbitrary<Cast> = fc.record({
  writers: fc.integer({ min: 1, max: 3 }),
  readers: fc.integer({ min: 0, max: 2 }),
  skewed: fc.boolean(),
  seed: fc.nat(),
})

interface Parcel {
  readonly to: DocumentServer
  readonly entries: readonly Uint8Array[]
}

/** A register as the model knows it: the text it carries is written once only; `null` is a mark. */
interface Said {
  readonly text: string | null
  readonly register: Register
}

/** The servers, and what a reader of each has seen. */
class World {
  readonly servers: readonly DocumentServer[]
  writers: number
  readonly #authorship: KnownOperators
  /** Whether marks may be forgotten: one that is no longer raises the stamps of a server whose clock is behind. */
  #mayForget: boolean
  readonly #parcels: Parcel[] = []
  /** Per server and key: what is seen now, and what was seen replaced. */
  readonly #seen: Map<string, { now: Register | undefined; readonly gone: Set<string> }>[]
  /** Registers that were acknowledged, by key. */
  readonly #said = new Map<string, Said[]>()
  /** Texts that were ever given to a server. */
  readonly texts = new Set<string>()
  #count = 0

  constructor({ writers, readers, skewed, seed }: Cast) {
    const authorship = new KnownOperators(a, b, c)
    this.#authorship = authorship
    for (const server of a.servers.slice(writers)) authorship.retire(server.id)
    const clock = new ManualClock()
    const roles = [
      ...a.servers.slice(0, writers).map((_, number) => ({ operator: a, number })),
      ...[b, c].slice(0, readers).map(operator => ({ operator, number: 0 })),
    ]
    this.writers = writers
    this.#mayForget = !skewed
    this.servers = roles.map(
      (role, at) =>
        new DocumentServer({
          ...role,
          authorship,
          clock: skewed ? new ManualClock(Date.UTC(2026, 0, 1) + at * 700) : clock,
          random: seededRandom(`${seed} ${at}`),
          limits: { compaction: { minGarbageBytes: 600, maxEntries: 12, maxLogs: 3 } },
        }),
    )
    this.#seen = this.servers.map(() => new Map())
  }

  get #writing(): readonly DocumentServer[] {
    return this.servers.slice(0, this.writers)
  }

  /** Those who are to hold replicas say so, as they do when they first ask. */
  async begin(): Promise<void> {
    for (const reader of this.servers.slice(this.writers))
      for (const to of this.#writing) await this.receipt(reader, to)
  }

  async do(step: Step): Promise<void> {
    switch (step.do) {
      case 'write':
        return this.#write(among(this.#writing, step.at), step.key, `<${this.#count++}>`, step.how)
      case 'remove':
        return this.#write(among(this.#writing, step.at), step.key, null, 'now')
      case 'restart': {
        const server = among(this.servers, step.at)
        await server.documents.read(home)
        return server.restart()
      }
      case 'compact':
        return among(this.#writing, step.at).documents.compact(home)
      case 'send':
        return this.#send(among(this.servers, step.from), among(this.servers, step.to), step.how, step.shuffle)
      case 'deliver': {
        const [parcel] = this.#parcels.splice(step.which % Math.max(1, this.#parcels.length), 1)
        return parcel && this.#deliver(parcel, step.how, step.shuffle)
      }
      case 'receipt':
        return this.receipt(among(this.servers, step.of), among(this.#writing, step.to))
      case 'wait':
        return this.wait(step.ms)
      case 'retire':
        return this.#retire()
    }
  }

  /** The last writer leaves the manifest, once it has been heard out: it only reads from now on, and others copy its logs. */
  async #retire(): Promise<void> {
    if (this.writers <= 1 || !this.#mayForget) return
    await this.meet()
    this.writers--
    this.#authorship.retire(among(this.servers, this.writers).id)
  }

  wait(ms: number): void {
    for (const clock of new Set(this.servers.map(server => server.clock))) clock.advance(ms)
  }

  async #write(server: DocumentServer, key: number, text: string | null, how: Writing): Promise<void> {
    // What is removed is never written with an old time: a command that comes after the mark was forgotten would count.
    const name = how === 'offline' ? `offline/${key}` : `key/${key}`
    const time = how === 'offline' ? server.clock.now() - 1_000 : undefined
    const isFault = how === 'refused' || how === 'lost' || how === 'kept'
    if (text !== null) this.texts.add(text)
    if (how === 'refused') server.disk.refuseNextWrite()
    else if (isFault) server.disk.failNextSync()
    try {
      await server.write(name, text, time)
      assert.not.ok(isFault, 'a write that failed was acknowledged')
    } catch (error) {
      if ((error as Error).name !== 'WriteFailed') throw error
    }
    if (how === 'lost' || how === 'kept') {
      server.disk.crash(how)
      server.restart()
    }
    if (isFault) return
    const now = (await server.documents.read(home)).get(name)
    // A mark that everybody knows of already is forgotten at once. No clock has moved since.
    const register = now ?? { stamp: server.clock.now(), server: server.id, value: null }
    if (register.value !== text) return // left out, as a later one was there
    const said = this.#said.get(name) ?? []
    said.push({ text, register })
    this.#said.set(name, said)
  }

  async #send(from: DocumentServer, to: DocumentServer, how: Delivery, shuffle: number): Promise<void> {
    if (from === to) return
    const index = await to.documents.index(home)
    const hashes = new Map<LogId, Uint8Array>(index?.heads.map(head => [head.log, head.hash]))
    const { entries } = await from.documents.missing(home, versionOf(index), 1e6, hashes)
    if (entries.length > 0) await this.#deliver({ to, entries }, how, shuffle)
    if (shuffle % 2 === 0 && this.#writing.includes(from)) await this.receipt(to, from)
  }

  async #deliver(parcel: Parcel, how: Delivery, shuffle: number): Promise<void> {
    if (how !== 'all') this.#parcels.push(parcel)
    if (how === 'later') return
    const random = seededRandom(`${shuffle}`)
    const entries = parcel.entries
      .map(entry => ({ entry, rank: random.fraction() }))
      .sort((x, y) => x.rank - y.rank)
      .map(({ entry }) => entry)
    const [first] = entries.map(entry => openStoredEntry(entry).log)
    const arrived = entries.filter((entry, at) => {
      if (how === 'half') return at <= entries.length / 2
      return how !== 'one log' || openStoredEntry(entry).log === first
    })
    const { refused } = await parcel.to.documents.ingest(home, arrived, among(this.servers, 0).id)
    assert.equal(refused, [])
  }

  async receipt(of: DocumentServer, to: DocumentServer): Promise<void> {
    if (!this.#mayForget && this.servers.indexOf(of) < this.writers) return
    await to.documents.receipt(home, of.id, versionOf(await of.documents.index(home)))
  }

  /** Lets everybody hear of everything. */
  async meet(): Promise<void> {
    for (let round = 0; round < 6; round++) {
      for (const from of this.servers) for (const to of this.servers) await this.#send(from, to, 'all', round)
      if ((await this.digests()).size === 1) return
    }
  }

  /** Every writer compacts and everybody hears of it and says so, until there is nothing left to clear away. */
  async cleanUp(): Promise<void> {
    this.#mayForget = true
    for (let round = 0; round < 3; round++) {
      for (const server of this.#writing) await server.documents.compact(home)
      await this.meet()
      await this.check()
      for (const of of this.servers) for (const to of this.#writing) await this.receipt(of, to)
    }
  }

  async digests(): Promise<Set<string>> {
    // A reader is answered after what the last message set off, such as a compaction.
    for (const server of this.servers) await server.documents.read(home)
    return new Set(await Promise.all(this.servers.map(server => server.digest())))
  }

  /** What holds at every moment. */
  async check(): Promise<void> {
    const contents = new Map<string, string>()
    for (const [at, server] of this.servers.entries()) {
      const registers = await server.documents.read(home)
      const content = JSON.stringify([...registers.entries()])
      const digest = await server.digest()
      assert.is(contents.get(digest) ?? content, content, 'equal digests, unequal content')
      contents.set(digest, content)
      this.#look(at, new Map(registers.entries()))
    }
  }

  #look(at: number, registers: ReadonlyMap<string, Register>): void {
    const seen = this.#seen[at] ?? new Map()
    for (const key of new Set([...registers.keys(), ...seen.keys()])) {
      const register = registers.get(key)
      const reader = seen.get(key) ?? { now: undefined, gone: new Set<string>() }
      seen.set(key, reader)
      const [before, after] = [textOf(reader.now), textOf(register)]
      if (before === after) continue
      if (register === undefined)
        assert.ok(this.#isRemoved(key, reader.now), `${key} is lost at ${at}: it was ${before}`)
      else assert.not.ok(reader.gone.has(after), `${key} went back to ${after} at ${at}`)
      reader.gone.add(before)
      reader.now = register
    }
  }

  /** Whether a removal was acknowledged that takes away what a reader has seen: the mark itself may be forgotten. */
  #isRemoved(key: string, seen: Register | undefined): boolean {
    const marks = this.#said.get(key)?.filter(({ text }) => text === null) ?? []
    return seen === undefined || marks.some(({ register }) => !isLater(seen, register))
  }

  /** Whether, now that all have met, every acknowledged register is there or has been replaced by a later one. */
  async checkNothingLost(): Promise<void> {
    const registers = await among(this.servers, 0).documents.read(home)
    for (const [key, said] of this.#said) {
      const latest = said.reduce((x, y) => (isLater(y.register, x.register) ? y : x))
      const now = registers.get(key)
      if (now === undefined) assert.is(latest.text, null, `${key} is lost`)
      else assert.not.ok(isLater(latest.register, now), `${key} has gone back from ${latest.text} to ${now.value}`)
    }
  }

  /** Whether the stores hold no text but those that are read, and no marks. */
  async checkErased(): Promise<void> {
    const registers = await among(this.servers, 0).documents.read(home)
    const current = new Set([...registers.entries()].map(([, { value }]) => value))
    assert.not.ok(current.has(null), 'a mark is still there')
    for (const [at, server] of this.servers.entries()) {
      const stored = await server.storedText()
      for (const text of this.texts)
        if (stored.includes(text)) assert.ok(current.has(text), `${text} is still stored at ${at}`)
    }
  }
}

const textOf = (register: Register | undefined): string =>
  register ? `${register.value} ${register.stamp} ${register.server}` : 'nothing'

function among(servers: readonly DocumentServer[], number: number): DocumentServer {
  return servers[number % servers.length] as DocumentServer
}

async function live(steps: readonly Step[], cast: Cast): Promise<void> {
  const world = new World(cast)
  await world.begin()
  for (const step of steps) {
    await world.do(step)
    await world.check()
    world.wait(1)
  }
  await world.meet()
  await world.check()
  assert.is((await world.digests()).size, 1, 'all have met, and are not equal')
  await world.checkNothingLost()
  await world.cleanUp()
  assert.is((await world.digests()).size, 1, 'after the compactions they are not equal')
  await world.checkNothingLost()
  await world.checkErased()
}

test('what the document layer promises, over random histories', async () => {
  const numRuns = Number(process.env.CPNS_MODEL_RUNS ?? 60)
  const histories = fc.array(step, { minLength: 1, maxLength: 120, size: 'max' })
  await fc.assert(fc.asyncProperty(histories, cast, live), { numRuns, includeErrorInReport: true })
})

test.run()
