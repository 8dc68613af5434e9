import type { ShownObject } from '../../storage/objects.ts'
import { isUnseen, type MailObject, mailObject } from './objects.ts'
import type { Pending } from './pending.ts'
import type { Position, Replica } from './replica.ts'

/*
 * What the user is shown: the replica, with what waits laid over it. Never asks a server.
 */

/** A conversation history or a user folder. */
export interface Container {
  readonly container: string
  readonly kind: 'conversation' | 'folder'
  /** The Conversation-ID, or the name of the folder. */
  readonly name: string
  /** The folder above. */
  readonly parent: string | undefined
  /** How many are here: those in scope. */
  readonly objects: number
  /** Messages and files that came in and were not seen. */
  readonly unseen: number
  readonly latest: MailObject | undefined
}

export interface Shown {
  /** Those with the latest objects first, empty ones last. */
  containers(kind: Container['kind']): Promise<readonly Container[]>
  /** The latest first. */
  objects(container: string, before: Position | undefined, limit: number): Promise<readonly MailObject[]>
  object(id: string): Promise<MailObject | undefined>
  /** In no order, until `enough` says so or there are no more. */
  each(see: (object: MailObject) => void): Promise<void>
}

/** Calls must not overlap with what changes the replica or what waits. */
export function createShown(replica: Replica, pending: Pending): Shown {
  const asMail = (object: ShownObject): MailObject => mailObject(object, pending.touches(object.id))

  async function objects(container: string, before: Position | undefined, limit: number): Promise<MailObject[]> {
    const found: ShownObject[] = []
    const told = new Set<string>()
    let from = before
    for (;;) {
      const batch = await replica.latest(container, from, limit)
      for (const object of batch) told.add(object.id)
      found.push(...batch.flatMap(object => pending.shown(object) ?? []))
      from = batch.at(-1)
      if (batch.length < limit || found.length >= limit) break
    }
    for (const object of await placedIn(container))
      if (!told.has(object.id) && (!before || isLater(before, object))) found.push(object)
    return found.sort(latestFirst).slice(0, limit).map(asMail)
  }

  /** What was put there, as far as no server tells of it there. */
  async function placedIn(container: string): Promise<readonly ShownObject[]> {
    const placed = pending.placedIn(container)
    if (placed.length === 0) return placed
    const told = await replica.objects(placed.map(({ id }) => id))
    const here = new Set(told.filter(object => object.container === container).map(({ id }) => id))
    return placed.filter(({ id }) => !here.has(id))
  }

  /** An object as the user has it, wherever it lies, by what servers tell of it. */
  function visible(id: string, told: readonly ShownObject[]): readonly ShownObject[] {
    const shown = told.flatMap(object => pending.shown(object) ?? [])
    const placed = pending.placed(id)
    return placed && !shown.some(({ container }) => container === placed.container) ? [...shown, placed] : shown
  }

  async function counts(): Promise<Map<string, { objects: number; unseen: number }>> {
    const found = new Map(
      [...replica.containers.values()].map(({ container, objects, unseen }) => [container, { objects, unseen }]),
    )
    const count = (object: ShownObject, by: 1 | -1) => {
      const known = found.get(object.container) ?? { objects: 0, unseen: 0 }
      const unseen = known.unseen + (isUnseen(object) ? by : 0)
      found.set(object.container, { objects: known.objects + by, unseen })
    }
    const ids = [...pending.touched()]
    const told = Map.groupBy(await replica.objects(ids), ({ id }) => id)
    for (const id of ids) {
      const before = told.get(id) ?? []
      for (const object of before) count(object, -1)
      for (const object of visible(id, before)) count(object, 1)
    }
    return found
  }

  /** Names of folders and conversations, as the user has made them. */
  function named(): Map<string, Pick<Container, 'kind' | 'name' | 'parent'>> {
    const found = new Map<string, Pick<Container, 'kind' | 'name' | 'parent'>>()
    for (const { container, kind, name, parent } of replica.containers.values())
      found.set(container, { kind, name, parent })
    for (const change of pending.changes) {
      switch (change.kind) {
        case 'deposit': {
          const [look] = change.looks
          if (look && change.folder === undefined && !found.has(look.container))
            found.set(look.container, { kind: 'conversation', name: change.object.conversationId, parent: undefined })
          break
        }
        case 'create-folder':
          found.set(change.folder, { kind: 'folder', name: change.name, parent: change.parent })
          break
        case 'rename-folder': {
          const known = found.get(change.folder)
          if (known) found.set(change.folder, { ...known, name: change.name })
          break
        }
        case 'remove-folder':
          found.delete(change.folder)
          break
        case 'flag':
        case 'copy':
        case 'move':
        case 'expunge':
          break
      }
    }
    return found
  }

  return {
    async containers(kind) {
      const amounts = await counts()
      const found: Container[] = []
      for (const [container, name] of named()) {
        if (name.kind !== kind) continue
        const { objects: amount = 0, unseen = 0 } = amounts.get(container) ?? {}
        if (kind === 'conversation' && amount === 0) continue
        const [latest] = amount > 0 ? await objects(container, undefined, 1) : []
        found.push({ container, ...name, objects: amount, unseen, latest })
      }
      return found.sort((a, b) => (b.latest?.date ?? 0) - (a.latest?.date ?? 0) || (a.name < b.name ? -1 : 1))
    },
    objects,
    async object(id) {
      const [object] = visible(id, await replica.objects([id]))
      return object && asMail(object)
    },
    async each(see) {
      const told = new Set<string>()
      for await (const batch of replica.batches())
        for (const object of batch) {
          const shown = pending.shown(object)
          if (shown) {
            told.add(object.id)
            see(asMail(shown))
          }
        }
      for (const id of pending.touched()) {
        const placed = told.has(id) ? undefined : pending.placed(id)
        if (placed) see(asMail(placed))
      }
    },
  }
}

const isLater = (a: Position, b: Position): boolean => (a.date === b.date ? a.id > b.id : a.date > b.date)
const latestFirst = (a: Position, b: Position): number => (isLater(a, b) ? -1 : 1)
