import type { ShownObject } from '../../storage/objects.ts'
import type { LocalChange } from './local-changes.ts'
import { flagged } from './objects.ts'

/*
 * What the user sees is what servers have told, with what the user has done since laid over it. It is laid over anew each time,
 * so that a change that is refused need not be undone, and one that waits is lost by nothing that a server tells.
 */

export interface Pending {
  /** All of them, in their order. */
  readonly changes: readonly LocalChange[]
  add(change: LocalChange): void
  forget(changes: ReadonlySet<LocalChange>): void
  /** Whether something was done with the object that no server has told of yet. */
  touches(id: string): boolean
  /** Objects that something was done with. */
  touched(): Iterable<string>
  /** How an object looks to the user that servers tell of; `undefined` when it is not there for the user. */
  shown(object: ShownObject): ShownObject | undefined
  /** Objects that the user has put into a container, as they look there; a server may tell of them already. */
  placedIn(container: string): readonly ShownObject[]
  /** One of them, wherever it is. */
  placed(id: string): ShownObject | undefined
}

export function pendingChanges(kept: readonly LocalChange[]): Pending {
  let changes: LocalChange[] = []
  /** By object, the changes that are about it, in their order. */
  let byObject = new Map<string, LocalChange[]>()
  let placed = new Map<string, ShownObject>()

  function add(change: LocalChange): void {
    changes.push(change)
    for (const id of aboutOf(change)) {
      const known = byObject.get(id)
      if (known) known.push(change)
      else byObject.set(id, [change])
    }
    for (const object of looksOf(change)) placed.set(object.id, object)
  }

  function shown(object: ShownObject): ShownObject | undefined {
    let { flags } = object
    for (const change of byObject.get(object.id) ?? []) {
      if (change.kind === 'expunge') return undefined
      if (change.kind === 'move' && change.folder !== object.container) return undefined
      if (change.kind === 'flag') flags = flagged(flags, change.add, change.remove)
    }
    return flags === object.flags ? object : { ...object, flags }
  }

  for (const change of kept) add(change)
  return {
    get changes() {
      return changes
    },
    add,
    forget(forgotten) {
      const left = changes.filter(change => !forgotten.has(change))
      changes = []
      byObject = new Map()
      placed = new Map()
      for (const change of left) add(change)
    },
    touches: id => byObject.has(id),
    touched: () => byObject.keys(),
    shown,
    placedIn: container =>
      [...placed.values()].filter(object => object.container === container).flatMap(object => shown(object) ?? []),
    placed(id) {
      const object = placed.get(id)
      return object && shown(object)
    },
  }
}

function aboutOf(change: LocalChange): readonly string[] {
  switch (change.kind) {
    case 'flag':
    case 'move':
    case 'expunge':
      return change.objects.map(({ id }) => id)
    case 'deposit':
    case 'copy':
      return change.looks.map(({ id }) => id)
    case 'create-folder':
    case 'rename-folder':
    case 'remove-folder':
      return []
  }
}

function looksOf(change: LocalChange): readonly ShownObject[] {
  switch (change.kind) {
    case 'deposit':
    case 'copy':
    case 'move':
      return change.looks
    case 'flag':
    case 'expunge':
    case 'create-folder':
    case 'rename-folder':
    case 'remove-folder':
      return []
  }
}
