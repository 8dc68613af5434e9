import type { z } from 'zod'
import { fromBase64url, toBase64url, utf8 } from '../commands/framing.ts'
import type { Documents, Registers } from '../document/documents.ts'
import { saidInTurn } from './index-parts.ts'
import type { ContainerShape, mailboxContainers } from './methods/objects.ts'
import { isFolder, type MailboxName } from './names.ts'
import { additionsOf, containersOf } from './records.ts'

/*
 * The list of conversations and folders, latest first; from what the mailbox document and its index parts say, without opening any of them.
 */

type Params = Pick<z.infer<(typeof mailboxContainers)['params']>, 'kind' | 'limit' | 'cursor'>
type Listed = z.infer<(typeof mailboxContainers)['result']>

const defaultListed = 100

export async function listContainers(
  name: MailboxName,
  mailbox: Registers,
  { kind, limit = defaultListed, cursor }: Params,
  documents: Pick<Documents, 'read'>,
): Promise<Listed> {
  const place = cursor === undefined ? undefined : placeOf(cursor)
  let listed: ContainerShape[] = []
  for await (const said of saidInTurn(name, mailbox, documents)) {
    for (const container of shapesOf(said)) {
      const isAsked = kind === undefined || container.kind === kind
      if (isAsked && (place === undefined || isBefore(place, container))) listed.push(container)
    }
    // One more than is listed says that there are more.
    listed = listed.sort((a, b) => (isBefore(a, b) ? -1 : 1)).slice(0, limit + 1)
  }
  const containers = listed.slice(0, limit)
  const last = containers.at(-1)
  return { containers, ...(last && listed.length > limit && { cursor: cursorOf(last) }) }
}

type Place = Pick<ContainerShape, 'container' | 'latest'>

/** Latest first, then by name: an order that new messages change, and nothing else. */
function isBefore(a: Place, b: Place): boolean {
  const [latestA, latestB] = [a.latest ?? 0, b.latest ?? 0]
  return latestA === latestB ? a.container < b.container : latestA > latestB
}

const cursorOf = ({ container, latest = 0 }: Place): string => toBase64url(utf8(`${latest} ${container}`))
function placeOf(cursor: string): Place {
  const [latest = '', container = ''] = new TextDecoder().decode(fromBase64url(cursor) ?? new Uint8Array()).split(' ')
  return { container, latest: Number(latest) || 0 }
}

function* shapesOf(said: Registers): Generator<ContainerShape> {
  const sums = new Map<string, { objects: number; bytes: number; latest: number }>()
  for (const { container, objects, bytes, to } of additionsOf(said)) {
    const sum = sums.get(container) ?? { objects: 0, bytes: 0, latest: 0 }
    sums.set(container, {
      objects: sum.objects + objects,
      bytes: sum.bytes + bytes,
      latest: Math.max(sum.latest, to),
    })
  }
  for (const [container, { name, parent, gone }] of containersOf(said)) {
    if (gone) continue
    const { objects, bytes, latest } = sums.get(container) ?? { objects: 0, bytes: 0, latest: 0 }
    yield {
      container,
      kind: isFolder(container) ? 'folder' : 'conversation',
      name,
      ...(parent !== undefined && { parent }),
      objects,
      bytes,
      ...(latest > 0 && { latest }),
    }
  }
}
