import type { Registers } from '../../document/documents.ts'
import { parseDocumentId } from '../../document/names.ts'
import { totalOf } from '../../storage/commit.ts'
import { type Device, devicesDocument, devicesIn, pushIn, toldIn } from '../../storage/devices/records.ts'
import { isFolder, type MailboxName, mailboxDocument, partDocument } from '../../storage/names.ts'
import {
  additionsOf,
  addressesOf,
  containersOf,
  grantsOf,
  isLiving,
  runsOf,
  subscribersOf,
  userOf,
  vectorOf,
} from '../../storage/records.ts'
import { heldContent, NotHeld, page } from './held.ts'
import type { PageWanted, Sources } from './inspection.ts'
import type { MailboxPage, MailboxReport } from './shapes.ts'

/*
 * Mailboxes by what can be counted of them, and how far they are in step. Nothing of what users say, or call things.
 */

export const mailboxList = (sources: Sources, wanted: PageWanted): Promise<MailboxPage> =>
  page(sources, 'mailbox/', wanted, async ({ document }) => {
    const name = parseDocumentId(document)
    if (name.kind !== 'mailbox') return undefined
    const mailbox = await heldContent(sources, document)
    return mailbox && userOf(mailbox) && summaryOf({ operator: name.owner, user: name.user }, mailbox, sources.now())
  })

export async function mailboxOf(sources: Sources, name: MailboxName): Promise<MailboxReport> {
  const mailbox = await heldContent(sources, mailboxDocument(name))
  if (!mailbox || !userOf(mailbox)) {
    throw new NotHeld(
      `This server holds no mailbox ${name.user} of ${name.operator}; cpns mailbox list shows those that it holds.`,
    )
  }
  return {
    ...summaryOf(name, mailbox, sources.now()),
    writers: [...runsOf(mailbox)].map(({ run, number, stamp }) => ({ run, commits: number, last: stamp })),
    containers: await containersIn(sources, name, mailbox),
    deviceStates: await devicesOf(sources, name, mailbox),
  }
}

function summaryOf({ operator, user }: MailboxName, mailbox: Registers, now: number): MailboxPage['items'][number] {
  const { objects, bytes } = totalOf(mailbox)
  const containers = [...containersOf(mailbox)].filter(([, { gone }]) => !gone).map(([container]) => container)
  const named = new Set([...containers, ...partsIn(mailbox).keys()])
  const folders = [...named].filter(isFolder).length
  const changes = [...runsOf(mailbox)].map(({ stamp }) => stamp)
  return {
    ...{ operator, user, objects, usedBytes: bytes, folders },
    state: isLiving(mailbox) ? 'live' : 'erased',
    conversations: named.size - folders,
    subscribers: [...subscribersOf(mailbox)].length,
    addresses: [...addressesOf(mailbox)].length,
    grants: [...grantsOf(mailbox)].filter(({ expires }) => expires > now).length,
    devices: [...devicesIn(mailbox)].length,
    ...(changes.length > 0 && { changed: Math.max(...changes) }),
  }
}

interface Filling {
  objects: number
  usedBytes: number
  readonly parts: Set<number>
}

/** Containers that hold something, with the parts that it is in. */
function partsIn(mailbox: Registers): Map<string, Filling> {
  const filled = new Map<string, Filling>()
  for (const { container, part, objects, bytes } of additionsOf(mailbox)) {
    const found = filled.get(container) ?? { objects: 0, usedBytes: 0, parts: new Set<number>() }
    found.objects += objects
    found.usedBytes += bytes
    found.parts.add(part)
    filled.set(container, found)
  }
  for (const [container, { objects }] of filled) if (objects <= 0) filled.delete(container)
  return filled
}

async function containersIn(
  { store }: Sources,
  name: MailboxName,
  mailbox: Registers,
): Promise<MailboxReport['containers']> {
  const shown: MailboxReport['containers'] = []
  for (const [container, { objects, usedBytes, parts }] of partsIn(mailbox)) {
    let missing = 0
    for (const part of parts) if (!(await store.index(partDocument(name, container, part)))) missing += 1
    const kind = isFolder(container) ? 'folder' : 'conversation'
    shown.push({ container, kind, objects, usedBytes, parts: parts.size, missing })
  }
  return shown
}

async function devicesOf(
  sources: Sources,
  name: MailboxName,
  mailbox: Registers,
): Promise<MailboxReport['deviceStates']> {
  const known = await heldContent(sources, devicesDocument(name))
  const commits = vectorOf(mailbox)
  return [...devicesIn(mailbox)].map(device => stateOf(device, known, commits))
}

function stateOf(
  { device, subscriber }: Device,
  known: Registers | undefined,
  commits: ReadonlyMap<string, number>,
): MailboxReport['deviceStates'][number] {
  const told = known && toldIn(known, device)
  const behind = told && [...commits].reduce((sum, [run, n]) => sum + Math.max(0, n - (told.get(run) ?? 0)), 0)
  return {
    device,
    subscriber: `${subscriber.identity} of ${subscriber.operator}`,
    ...(known && { push: pushIn(known, device) !== undefined }),
    ...(behind !== undefined && { behind }),
  }
}
