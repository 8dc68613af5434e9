import type { Registers } from '../../document/documents.ts'
import { parseDocumentId } from '../../document/names.ts'
import { registersOf } from '../../document/registers-view.ts'
import { totalOf } from '../../storage/commit.ts'
import { type Device, devicesDocument, devicesIn, pushIn, toldIn } from '../../storage/devices/records.ts'
import { saidInTurn } from '../../storage/index-parts.ts'
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
    return mailbox && userOf(mailbox) && summaryOf({ operator: name.owner, user: name.user }, mailbox, sources)
  })

export async function mailboxOf(sources: Sources, name: MailboxName): Promise<MailboxReport> {
  const mailbox = await heldContent(sources, mailboxDocument(name))
  if (!mailbox || !userOf(mailbox)) {
    throw new NotHeld(
      `This server holds no mailbox ${name.user} of ${name.operator}; cpns mailbox list shows those that it holds.`,
    )
  }
  return {
    ...(await summaryOf(name, mailbox, sources)),
    writers: [...runsOf(mailbox)].map(({ run, number, stamp }) => ({ run, commits: number, last: stamp })),
    containers: await containersIn(sources, name, mailbox),
    deviceStates: await devicesOf(sources, name, mailbox),
  }
}

async function summaryOf(
  name: MailboxName,
  mailbox: Registers,
  sources: Sources,
): Promise<MailboxPage['items'][number]> {
  const { operator, user } = name
  const { objects, bytes } = totalOf(mailbox)
  let [folders, conversations] = [0, 0]
  for await (const said of saidIn(sources, name, mailbox)) {
    const containers = [...containersOf(said)].filter(([, { gone }]) => !gone).map(([container]) => container)
    for (const container of new Set([...containers, ...partsIn(said).keys()]))
      if (isFolder(container)) folders += 1
      else conversations += 1
  }
  const changes = [...runsOf(mailbox)].map(({ stamp }) => stamp)
  return {
    ...{ operator, user, objects, usedBytes: bytes, folders, conversations },
    state: isLiving(mailbox) ? 'live' : 'erased',
    subscribers: [...subscribersOf(mailbox)].length,
    addresses: [...addressesOf(mailbox)].length,
    grants: [...grantsOf(mailbox)].filter(({ expires }) => expires > sources.now()).length,
    devices: [...devicesIn(mailbox)].length,
    ...(changes.length > 0 && { changed: Math.max(...changes) }),
  }
}

/** All that is said of containers, as far as this server holds it. */
const saidIn = (sources: Sources, name: MailboxName, mailbox: Registers): AsyncGenerator<Registers> =>
  saidInTurn(name, mailbox, {
    read: async document => (await heldContent(sources, document)) ?? registersOf(new Map()),
  })

interface Filling {
  objects: number
  usedBytes: number
  readonly parts: Set<number>
}

/** Containers that hold something, with the parts that it is in. */
function partsIn(said: Registers): Map<string, Filling> {
  const filled = new Map<string, Filling>()
  for (const { container, part, objects, bytes } of additionsOf(said)) {
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
  sources: Sources,
  name: MailboxName,
  mailbox: Registers,
): Promise<MailboxReport['containers']> {
  const shown: MailboxReport['containers'] = []
  for await (const said of saidIn(sources, name, mailbox))
    for (const [container, { objects, usedBytes, parts }] of partsIn(said)) {
      let missing = 0
      for (const part of parts) if (!(await sources.store.index(partDocument(name, container, part)))) missing += 1
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
