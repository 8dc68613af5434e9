import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { mailboxFlag, messageDeposit } from '../../src/storage/methods/objects.ts'
import { mailboxSync } from '../../src/storage/methods/sync.ts'
import { derivedId, mailboxDocument, partDocument } from '../../src/storage/names.ts'
import { idsIn, keys } from '../../src/storage/records.ts'
import { home, messageOf, newId, type StorageServer } from './storage-server.ts'

/** A mailbox that holds very much, and what it takes to learn what has changed in it. */

export const partObjects = 2_000
const writtenAtOnce = 400
const changesAtOnce = 10
const increments = 30
const run = 'AAAAAAAA'
export const date = 1_735_000_000_000
/** One a minute, so that it takes the big mailbox two years to become so big, and a part holds a day and a half of it. */
const everyMs = 60_000
const crypto = nodeCrypto()

export const big = { operator: home, user: 'big' }

/** The registers as deposits make them, written many at a time: it is their reading that is measured. */
export async function fill(
  { documents }: StorageServer,
  parts: number,
  progress: (line: string) => void,
): Promise<void> {
  for (let part = 0; part < parts; part++) {
    for (let at = 0; at < partObjects; at += writtenAtOnce) {
      const objects = Array.from({ length: writtenAtOnce }, (_, index) => {
        const sent = date + (part * partObjects + at + index) * everyMs
        const text = `What is for lunch today, number ${at + index}?`
        const record = { ...messageOf('lunch', sent, text), size: text.length, stored: sent, o: [run, part + 1] }
        return { key: keys.object(derivedId(crypto, [newId()])), value: JSON.stringify(record) }
      })
      const writes = [...objects, { key: keys.at(run), value: part + 1 }]
      await documents.write(partDocument(big, 'c-lunch', part), () => ({ writes, answer: undefined }))
    }
    const from = date + part * partObjects * everyMs
    const counts = { objects: partObjects, bytes: 80_000, chars: 900_000, from, to: from + (partObjects - 1) * everyMs }
    const writes = [
      { key: keys.change('c-lunch', part, run), value: part + 1 },
      { key: keys.count('c-lunch', part, run), value: counts },
      { key: keys.run(run), value: part + 1 },
    ]
    await documents.write(mailboxDocument(big), () => ({ writes, answer: undefined }))
    if (part % 100 === 99) progress(`${(part + 1) * partObjects} objects are there`)
  }
}

export interface IncrementalSyncs {
  /** Of the processors, for each. */
  readonly cpuMs: readonly number[]
  /** Bytes of the page beside those of the objects in it. */
  readonly shares: readonly number[]
}

/** The token of whoever synchronises folders only, of which there are none: what it stands for is the whole mailbox as it is now. */
async function tokenNow(server: StorageServer): Promise<string> {
  const { token } = await server.call(mailboxSync, { ...big, scope: { kind: 'folder' } })
  if (token === undefined) throw new Error('There are folders.')
  return token
}

/** Ten changes at a time, half of them new messages, half of them flags in a part that is full, each ten followed by a sync. */
export async function incrementalSyncs(server: StorageServer, parts: number): Promise<IncrementalSyncs> {
  const full = { container: 'c-lunch', part: parts - 1 }
  const ids = [...idsIn(await server.documents.read(partDocument(big, full.container, full.part)))]
  const cpuMs: number[] = []
  const shares: number[] = []
  let token = await tokenNow(server)
  for (let round = 0; round < increments; round++) {
    for (let index = round * (changesAtOnce / 2); index < (round + 1) * (changesAtOnce / 2); index++) {
      const sent = date + (parts * partObjects + index) * everyMs
      const object = messageOf('lunch', sent, 'And for dinner?')
      await server.call(messageDeposit, { commandId: newId(), ...big, object })
      const changes = [{ ...full, id: ids[index] as string, add: ['\\Seen' as const] }]
      await server.call(mailboxFlag, { commandId: newId(), ...big, changes })
    }
    const cpu = process.cpuUsage()
    const page = await server.call(mailboxSync, { ...big, token })
    const { user, system } = process.cpuUsage(cpu)
    cpuMs.push((user + system) / 1_000)
    const objects = [...page.created, ...page.changed]
    if (objects.length !== changesAtOnce) throw new Error(`The page has ${objects.length} changes.`)
    shares.push(JSON.stringify(page).length / JSON.stringify(objects).length)
    if (page.token === undefined) throw new Error('There is more than was changed.')
    token = page.token
  }
  return { cpuMs, shares }
}
