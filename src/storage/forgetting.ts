import type { Registers, RegisterWrite } from '../document/documents.ts'
import type { ServerId } from '../ports/names.ts'
import type { Edit } from './commit.ts'
import { isFolder } from './names.ts'
import {
  additionsOf,
  changesOf,
  completeTo,
  containerOf,
  countIn,
  goneIdsIn,
  idsIn,
  keys,
  type ObjectRecord,
  objectIn,
  removedSince,
  written,
} from './records.ts'

/*
 * How the mailbox document, and its index parts, get their room back. What it says of the parts of a folder goes with the folder; what it says of a
 * conversation, once all objects have left it and no token can be from before. Nobody but its writer says how far a part has
 * come, so of that each server takes back its own.
 */

/** Registers in one commit: what is left comes with the next. */
const forgottenAtOnce = 128

/** Takes back what is said of the parts of a folder that was removed, or of a mailbox that was. Answers whether there is more. */
export async function forgetParts(edit: Edit, container: string): Promise<boolean> {
  return forgetSome(edit, saidOfParts(await edit.said(container), container, edit.server))
}

/** Takes back all that is said of a container in which nothing is left, or names it again. Answers whether there is more. */
export async function forgetContainer(edit: Edit, container: string): Promise<boolean> {
  const all = await edit.said(container)
  const changes = [...changesOf(all, container)]
  for (const { part } of await edit.parts(container)) {
    const content = await edit.read({ container, part })
    const isHere = changes.every(change => change.part !== part || completeTo(content, change.run) >= change.n)
    if (!isHere || !goneIdsIn(content).next().done) return false
    for (const id of idsIn(content)) return nameAgain(edit, all, container, objectIn(content, id))
  }
  const said = saidOfParts(all, container, edit.server)
  for (const key of [keys.container(container), keys.removed(container)])
    if ((all.get(key)?.value ?? null) !== null) said.push(written(key, null))
  return forgetSome(edit, said)
}

/** Somebody has deposited there without knowing that it was forgotten. */
function nameAgain(edit: Edit, said: Registers, container: string, object: ObjectRecord | undefined): false {
  if (object && !isFolder(container) && !containerOf(said, container))
    edit.say(written(keys.container(container), { name: object.conversationId, o: edit.origin }))
  return false
}

/**
 * Containers to look into: those with no objects of which nothing is to be remembered, and those with objects and no name.
 * `memoryMs`: for how long it is remembered that a folder was removed.
 */
export function forgettable(said: Registers, now: number, memoryMs: number): Set<string> {
  const objects = new Map<string, number>()
  const waits = new Set<string>()
  for (const change of additionsOf(said)) {
    const { container, part } = change
    objects.set(container, (objects.get(container) ?? 0) + change.objects)
    const waitsFor = [keys.due(container, part), keys.erased(container, part)]
    if (waitsFor.some(key => (said.get(key)?.value ?? null) !== null)) waits.add(container)
  }
  const found = new Set<string>()
  for (const [container, count] of objects) {
    const record = containerOf(said, container)
    if (record?.gone) continue
    if (count === 0 ? !waits.has(container) : !record) found.add(container)
  }
  for (const [container, at] of removedSince(said)) if (at + memoryMs <= now) found.add(container)
  return found
}

function saidOfParts(all: Registers, container: string, self: ServerId): RegisterWrite[] {
  const said: RegisterWrite[] = []
  for (const { part, run, server } of changesOf(all, container)) {
    if (countIn(all, container, part, run)) said.push(written(keys.count(container, part, run), null))
    if (server === self) said.push(written(keys.change(container, part, run), null))
  }
  return said
}

function forgetSome(edit: Edit, said: readonly RegisterWrite[]): boolean {
  edit.say(...said.slice(0, forgottenAtOnce))
  return said.length > forgottenAtOnce
}
