import type { z } from 'zod'
import type { ReplicaStore, ReplicaWrite } from '../../ports/replica-store.ts'
import { refuseLater } from '../../ports/stored-format.ts'
import type { ObjectName, Scope } from '../../storage/fields.ts'
import type { mailboxSync } from '../../storage/methods/sync.ts'
import type { ShownObject } from '../../storage/objects.ts'
import { contentOf, isUnseen, richer } from './objects.ts'
import {
  type ContainerRecord,
  containerRecord,
  formatted,
  keys,
  type ObjectRecord,
  objectRecord,
  type PlaceRecord,
  partialRecord,
  placeRecord,
  type ReplicaState,
  ranges,
  replicaFormat,
  replicaState,
} from './replica-state.ts'

/*
 * What servers have told this device of a mailbox, as it is kept: exactly the objects that are in scope. What is told is written
 * in one batch with how far the device has come by it, so that after a crash it is told again or is there, never both halves.
 *
 * Calls must not overlap: see `in-turn.ts`.
 */

type Page = z.infer<typeof mailboxSync.result>

/** What a page, or the end of a sync, has changed here. */
export interface Applied {
  readonly created: readonly string[]
  readonly changed: readonly string[]
  /** Not in scope any more; not deleted. */
  readonly left: readonly string[]
  readonly vanished: readonly string[]
  readonly containers: readonly string[]
}

export interface Replica {
  readonly state: ReplicaState
  readonly containers: ReadonlyMap<string, ContainerRecord>
  /** Those that are here, wherever they lie. */
  objects(ids: readonly string[]): Promise<readonly ShownObject[]>
  /** Objects of a container, the latest first, sent before the one that is named. */
  latest(container: string, before: Position | undefined, limit: number): Promise<readonly ShownObject[]>
  /** All objects, in batches, container by container. */
  batches(): AsyncIterable<readonly ShownObject[]>
  /** Takes in what a page tells, and what is known by it; `also` is written with it. */
  apply(page: Told, next: Partial<ReplicaState>, also?: readonly ReplicaWrite[]): Promise<Applied>
  /**
   * Ends a sync in which everything came: what did not come is gone. It may be interrupted and begun again.
   */
  sweep(next: Partial<ReplicaState>, also?: readonly ReplicaWrite[]): Promise<Applied>
  /**
   * Objects of which not all is here, the latest of a container first, and where that ends; after the end of an earlier answer.
   * `last` is `undefined` when there are no more.
   */
  partial(
    before: string | undefined,
    limit: number,
  ): Promise<{ readonly objects: readonly ShownObject[]; readonly last: string | undefined }>
  /** Takes in all of what is here in part. Flags stay as they are: what a sync has told of them may be newer. */
  complete(fetched: readonly ShownObject[]): Promise<Applied>
  write(next: Partial<ReplicaState>, also?: readonly ReplicaWrite[]): Promise<void>
}

export type Told = Pick<Page, 'created' | 'changed' | 'left' | 'vanished' | 'containers' | 'vanishedContainers'>

/** Where in a container an object stands. */
export interface Position {
  readonly date: number
  readonly id: string
}

/** What is kept is no replica; or it is of another mailbox. */
export class ReplicaMismatch extends Error {
  override readonly name = 'ReplicaMismatch'
}

const batchSize = 500

/**
 * @throws {UnknownFormat} when a later release wrote it: what no server has heard of yet may stand in it, so it is left as it is
 * @throws {ReplicaMismatch} when it is the replica of another address, or none
 * @throws {ReplicaFailed}
 */
export async function openReplica(store: ReplicaStore, address: string, scope: Scope): Promise<Replica> {
  let state = await stateIn(store, address, scope)
  const containers = new Map<string, ContainerRecord>()
  for (const { value } of await store.scan(ranges.containers)) {
    const record = parsed(containerRecord, value)
    containers.set(record.container, record)
  }

  async function recordsIn(places: readonly Place[]): Promise<readonly ObjectRecord[]> {
    const records = await store.get(places.map(({ container, date, id }) => keys.object(container, date, id)))
    return records.map(value => parsed(objectRecord, value))
  }

  /** What is in these places, by their names. */
  async function recordsOf(names: readonly Pick<ObjectName, 'container' | 'id'>[]): Promise<Map<string, ObjectRecord>> {
    const kept = await store.get(names.map(({ id, container }) => keys.place(id, container)))
    const places = kept.flatMap((value, at) =>
      value === undefined ? [] : { ...parsed(placeRecord, value), id: names[at]?.id ?? '' },
    )
    return new Map((await recordsIn(places)).map(record => [spotOf(record.object), record]))
  }

  async function commit(change: Change, next: Partial<ReplicaState>, also: readonly ReplicaWrite[]): Promise<Applied> {
    const changed = { ...state, ...next }
    await store.commit([...change.writes(), { key: keys.state, value: withoutUndefined(changed) }, ...also])
    state = changed
    change.settle(containers)
    return change.applied
  }

  return {
    get state() {
      return state
    },
    containers,

    async objects(ids) {
      const places = await Promise.all(
        ids.map(async id =>
          (await store.scan(ranges.placesOf(id))).map(({ value }) => ({ ...parsed(placeRecord, value), id })),
        ),
      )
      return (await recordsIn(places.flat())).map(({ object }) => object)
    },

    async latest(container, before, limit) {
      const range = ranges.objectsIn(container)
      const to = before ? keys.object(container, before.date, before.id) : range.to
      const found = await store.scan({ from: range.from, to, backwards: true, limit })
      return found.map(({ value }) => parsed(objectRecord, value).object)
    },

    async *batches() {
      for await (const batch of batchesOf(store, ranges.objects)) yield batch.map(({ object }) => object)
    },

    async apply(page, next, also = []) {
      const generation = next.generation ?? state.generation
      const change = new Change(containers, generation)
      const told = [...page.created, ...page.changed]
      const known = await recordsOf([...told, ...page.left, ...page.vanished])
      for (const container of page.containers) change.name(container)
      for (const object of told) change.put(object, known.get(spotOf(object)))
      for (const name of page.left) change.remove(known.get(spotOf(name)), 'left')
      for (const name of page.vanished) change.remove(known.get(spotOf(name)), 'vanished')
      for (const container of page.vanishedContainers) {
        for await (const batch of batchesOf(store, ranges.objectsIn(container)))
          for (const record of batch) change.remove(record, 'vanished')
        change.drop(container)
      }
      return commit(change, next, also)
    },

    async sweep(next, also = []) {
      const change = new Change(containers, state.generation)
      for await (const batch of batchesOf(store, ranges.objects))
        for (const record of batch) if (record.generation !== state.generation) change.remove(record, 'vanished')
      for (const { container, generation } of containers.values())
        if (generation !== state.generation) change.drop(container)
      return commit(change, next, also)
    },

    async partial(before, limit) {
      const { from, to } = ranges.partial
      const found = await store.scan({ from, to: before ?? to, backwards: true, limit })
      const records = await recordsIn(found.map(({ value }) => parsed(partialRecord, value)))
      return { objects: records.map(({ object }) => object), last: found.at(-1)?.key }
    },

    async complete(fetched) {
      const change = new Change(containers, state.generation)
      const known = await recordsOf(fetched)
      for (const object of fetched) {
        const record = known.get(spotOf(object))
        if (record) change.put({ ...object, part: record.object.part, flags: record.object.flags }, record)
      }
      return commit(change, {}, [])
    },

    async write(next, also = []) {
      await commit(new Change(containers, state.generation), next, also)
    },
  }
}

async function stateIn(store: ReplicaStore, address: string, scope: Scope): Promise<ReplicaState> {
  const [kept] = await store.get([keys.state])
  const fresh: ReplicaState = { format: replicaFormat, address, scope, generation: 0 }
  if (kept === undefined) return fresh
  refuseLater(`The replica of ${address}`, { version: formatted.safeParse(kept).data?.format }, replicaFormat)
  const state = replicaState.safeParse(kept).data
  if (!state) throw new ReplicaMismatch('The replica cannot be understood: something else wrote it. Begin a new one.')
  if (state.address !== address) {
    throw new ReplicaMismatch(`The replica is of ${state.address}, not of ${address}. Each address needs its own.`)
  }
  if (JSON.stringify(state.scope) === JSON.stringify(scope)) return state
  // Of another scope the token says nothing: what came into it has not changed since.
  const { token: _, course: __, ...rest } = state
  return { ...rest, scope }
}

async function* batchesOf(
  store: ReplicaStore,
  range: { readonly from: string; readonly to: string },
): AsyncGenerator<readonly ObjectRecord[]> {
  let { from } = range
  for (;;) {
    const found = await store.scan({ from, to: range.to, limit: batchSize })
    yield found.map(({ value }) => parsed(objectRecord, value))
    const last = found.at(-1)
    if (found.length < batchSize || !last) return
    from = `${last.key}!`
  }
}

/** What one batch writes. */
class Change {
  readonly #known: ReadonlyMap<string, ContainerRecord>
  readonly #generation: number
  readonly #records: ReplicaWrite[] = []
  readonly #containers = new Map<string, ContainerRecord | undefined>()
  /** Places that this batch has said something of already. */
  readonly #settled = new Set<string>()
  /** What was put somewhere, perhaps from elsewhere, has not vanished. */
  readonly #put = new Set<string>()
  readonly #created: string[] = []
  readonly #changed: string[] = []
  readonly #left: string[] = []
  readonly #vanished: string[] = []

  constructor(known: ReadonlyMap<string, ContainerRecord>, generation: number) {
    this.#known = known
    this.#generation = generation
  }

  get applied(): Applied {
    return {
      created: this.#created,
      changed: this.#changed,
      left: this.#left,
      vanished: this.#vanished.filter(id => !this.#put.has(id)),
      containers: [...this.#containers.keys()],
    }
  }

  writes(): ReplicaWrite[] {
    const containers = [...this.#containers].map(([container, value]) => ({ key: keys.container(container), value }))
    return [...this.#records, ...containers]
  }

  settle(containers: Map<string, ContainerRecord>): void {
    for (const [container, record] of this.#containers) {
      if (record) containers.set(container, record)
      else containers.delete(container)
    }
  }

  name(container: Page['containers'][number]): void {
    const { objects = 0, unseen = 0 } = this.#container(container.container) ?? {}
    this.#containers.set(container.container, { ...container, generation: this.#generation, objects, unseen })
  }

  put(told: ShownObject, known: ObjectRecord | undefined): void {
    this.#settled.add(spotOf(told))
    this.#put.add(told.id)
    const object = richer(known?.object, told)
    if (known) this.#take(known.object)
    const { container, id, date } = object
    const place: PlaceRecord = { container, date }
    const record: ObjectRecord = { generation: this.#generation, object }
    this.#records.push({ key: keys.place(id, container), value: place }, { key: keyOf(place, id), value: record })
    if (contentOf(object) !== 'full')
      this.#records.push({ key: keys.partial(container, date, id), value: { container, date, id } })
    this.#count(object, 1)
    ;(known ? this.#changed : this.#created).push(id)
  }

  remove(known: ObjectRecord | undefined, why: 'left' | 'vanished'): void {
    if (!known || this.#settled.has(spotOf(known.object))) return
    const { id, container } = known.object
    this.#settled.add(spotOf(known.object))
    this.#take(known.object)
    this.#records.push({ key: keys.place(id, container), value: undefined })
    ;(why === 'left' ? this.#left : this.#vanished).push(id)
  }

  drop(container: string): void {
    this.#containers.set(container, undefined)
  }

  #take(object: ShownObject): void {
    const { container, date, id } = object
    this.#records.push({ key: keyOf(object, id), value: undefined })
    if (contentOf(object) !== 'full') this.#records.push({ key: keys.partial(container, date, id), value: undefined })
    this.#count(object, -1)
  }

  #count(object: ShownObject, by: 1 | -1): void {
    const { container } = object
    const before = this.#container(container) ?? unnamed(container)
    const objects = before.objects + by
    const unseen = before.unseen + (isUnseen(object) ? by : 0)
    const generation = by > 0 ? this.#generation : before.generation
    this.#containers.set(container, { ...before, generation, objects, unseen })
  }

  #container(container: string): ContainerRecord | undefined {
    return this.#containers.has(container) ? this.#containers.get(container) : this.#known.get(container)
  }
}

/** Its name comes, or came, with another page. */
const unnamed = (container: string): ContainerRecord => ({
  container,
  kind: container.startsWith('f-') ? 'folder' : 'conversation',
  name: container.slice(2),
  generation: 0,
  objects: 0,
  unseen: 0,
})

interface Place extends PlaceRecord {
  readonly id: string
}

const spotOf = ({ container, id }: Pick<ObjectName, 'container' | 'id'>): string => `${container}/${id}`
const keyOf = ({ container, date }: PlaceRecord, id: string): string => keys.object(container, date, id)

export const nameOf = ({ container, part, id }: ObjectName): ObjectName => ({ container, part, id })

const withoutUndefined = (state: ReplicaState): unknown => JSON.parse(JSON.stringify(state))

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const found = schema.safeParse(value)
  if (found.success) return found.data
  throw new ReplicaMismatch(`The replica holds something that is no part of one: ${found.error.message}`)
}
