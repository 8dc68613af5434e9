import type { z } from 'zod'
import type { Scope } from '../../../src/storage/fields.ts'
import type { mailboxSync } from '../../../src/storage/methods/sync.ts'
import type { StoredObject } from '../../../src/storage/objects.ts'

/*
 * A device with a replica of a mailbox that is made of nothing but what syncs have told.
 */

type Page = z.infer<(typeof mailboxSync)['result']>

interface Kept {
  readonly objects: ReadonlyMap<string, StoredObject>
  readonly containers: ReadonlyMap<string, { readonly name: string; readonly parent: string | undefined }>
  readonly token: string | undefined
  readonly cursor: string | undefined
}

const nothing: Kept = { objects: new Map(), containers: new Map(), token: undefined, cursor: undefined }
const placeOf = ({ container, part, id }: { container: string; part: number; id: string }) =>
  `${container}/${part}/${id}`

export class Device {
  readonly name: string
  readonly scope: Scope
  #kept = nothing
  /** As it was after each sync: a device that is restored from a backup brings an old token, or cursor. */
  #backups: Kept[] = [nothing]

  constructor(name: string, scope: Scope) {
    this.name = name
    this.scope = scope
  }

  get kept(): Kept {
    return this.#kept
  }

  /** What it asks next. */
  get question(): { token?: string; cursor?: string } {
    const { token, cursor } = this.#kept
    if (cursor !== undefined) return { cursor }
    return token === undefined ? {} : { token }
  }

  take(page: Page): void {
    const isFirst = this.#kept.cursor === undefined
    const begins = isFirst && (page.kind === 'reset' || this.#kept.token === undefined)
    const objects = new Map(begins ? [] : this.#kept.objects)
    const containers = new Map(begins ? [] : this.#kept.containers)
    for (const container of page.vanishedContainers) {
      containers.delete(container)
      for (const [place, object] of objects) if (object.container === container) objects.delete(place)
    }
    for (const { container, name, parent } of page.containers) containers.set(container, { name, parent })
    for (const name of [...page.left, ...page.vanished]) objects.delete(placeOf(name))
    for (const object of [...page.created, ...page.changed])
      objects.set(placeOf(object as StoredObject), object as StoredObject)
    this.#kept = { objects, containers, token: page.token ?? this.#kept.token, cursor: page.cursor }
    this.#backups.push(this.#kept)
  }

  restore(ago: number): void {
    const index = Math.max(0, this.#backups.length - 1 - ago)
    this.#kept = this.#backups[index] ?? nothing
    this.#backups = this.#backups.slice(0, index + 1)
  }
}
