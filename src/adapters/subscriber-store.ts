import { z } from 'zod'
import type { Subscriber } from '../ports/key-source.ts'
import { refuseLater } from '../ports/stored-format.ts'
import { withFileLock } from './file-lock.ts'
import { exists, FileProblem, readSecret, writeSecret } from './files.ts'
import { type KeyRing, newRingKey, openText, readKeyRing, sealText, writeKeyRing } from './key-ring.ts'
import { recordOf, subscriberOf, subscriberRecord } from './subscriber-record.ts'

/*
 * The file of an operator's subscribers, encrypted as a whole (AES-256-GCM), so that whoever changes, removes or brings back
 * a single record is found out. What it cannot tell is that the whole file is an older one.
 *
 * Inside is one line for each subscriber, its identity before its JSON: a file of 100,000 is taken in without parsing what
 * nobody asks for. What the tag proves was validated when it was written.
 *
 * Files of version 1 are plain. They are read as long as there is no key beside them, and encrypted at the next change; a
 * plain file beside a key may be anybody's, and is refused.
 */

export interface SubscriberFiles {
  readonly store: string
  /** The key ring; made when there is none. */
  readonly key: string
  /** Of the key ring, if it is locked by one. */
  readonly passphrase?: string
}

/** JSON of a record, by identity. */
export type SubscriberLines = Map<string, string>

const plainFile = z.strictObject({ version: z.literal(1), subscribers: z.array(subscriberRecord) })
const formatVersion = 2
const sealedFile = z.strictObject({ version: z.literal(formatVersion), key: z.string(), sealed: z.base64url() })
const anyFile = z.discriminatedUnion('version', [plainFile, sealedFile])
const label = 'cpns subscribers v2'

/** @throws {FileProblem} when there is no such file, or it cannot be read or believed */
export async function readSubscribers(files: SubscriberFiles, accepting?: 'plain'): Promise<SubscriberLines> {
  const file = parsed(files.store, await readSecret(files.store))
  if (file.version === formatVersion) return linesOf(files, file)
  if (accepting !== 'plain' && (await exists(files.key))) {
    throw new FileProblem(
      `${files.store} is not encrypted, though there is a key for it (${files.key}). Somebody may have put it there. ` +
        'If it was you: cpns subscriber rekey --accept-plain',
    )
  }
  return new Map(file.subscribers.map(record => [record.identity, JSON.stringify(record)]))
}

/** The subscriber that a line says. */
export const subscriberOfLine = (line: string): Subscriber => subscriberOf(subscriberRecord.parse(JSON.parse(line)))

/** @throws {FileProblem} when the identity is taken or malformed. */
export const addSubscriber = (files: SubscriberFiles, subscriber: Subscriber): Promise<void> =>
  change(files, lines => {
    const { identity } = subscriber
    if (lines.has(identity)) {
      throw new FileProblem(`${files.store} has a subscriber ${identity} already; choose another identity.`)
    }
    const record = subscriberRecord.safeParse(recordOf(subscriber))
    if (!record.success) throw new FileProblem(`Cannot add ${identity}: ${record.error.issues[0]?.message}.`)
    lines.set(identity, JSON.stringify(record.data))
  })

/** @throws {FileProblem} when there is no such subscriber. */
export const removeSubscriber = (files: SubscriberFiles, identity: string): Promise<void> =>
  change(files, lines => {
    if (!lines.delete(identity)) throw new FileProblem(`${files.store} has no subscriber ${identity}.`)
  })

/** What `rekeySubscribers` does besides. */
export interface Rekeying {
  /** Locks the new key; `undefined`: only the mode of its file protects it. */
  readonly passphrase: string | undefined
  /** Takes a plain file although there is a key. */
  readonly acceptPlain: boolean
}

/**
 * Encrypts the file anew, under a new key. Old and new key stand in the ring before the file is written, and the old one
 * leaves it afterwards: whatever is interrupted, one of them opens what is there.
 */
export const rekeySubscribers = (files: SubscriberFiles, { passphrase, acceptPlain }: Rekeying): Promise<void> =>
  locked(files, async () => {
    const lines = await readIfThere(files, acceptPlain ? 'plain' : undefined)
    const next: KeyRing = [newRingKey()]
    const present = (await exists(files.key)) ? await readKeyRing(files.key, files.passphrase) : []
    const [first, ...rest] = [...present, ...next]
    if (first) await writeKeyRing(files.key, [first, ...rest], passphrase)
    await write(files.store, lines, next)
    await writeKeyRing(files.key, next, passphrase)
  })

async function change(files: SubscriberFiles, edit: (lines: SubscriberLines) => void): Promise<void> {
  await locked(files, async () => {
    const lines = await readIfThere(files)
    edit(lines)
    await write(files.store, lines, await ringFor(files))
  })
}

async function readIfThere(files: SubscriberFiles, accepting?: 'plain'): Promise<SubscriberLines> {
  return (await exists(files.store)) ? readSubscribers(files, accepting) : new Map()
}

async function ringFor({ key, passphrase }: SubscriberFiles): Promise<KeyRing> {
  if (await exists(key)) return readKeyRing(key, passphrase)
  const ring: KeyRing = [newRingKey()]
  await writeKeyRing(key, ring, passphrase)
  return ring
}

async function write(path: string, lines: SubscriberLines, ring: KeyRing): Promise<void> {
  const { id, key } = ring.at(-1) ?? ring[0]
  const content = [...lines].map(([identity, line]) => `${identity} ${line}`).join('\n')
  await writeSecret(
    path,
    `${JSON.stringify({ version: formatVersion, key: id, sealed: sealText(key, content, label) })}\n`,
  )
}

async function linesOf(files: SubscriberFiles, file: z.infer<typeof sealedFile>): Promise<SubscriberLines> {
  const ring = await readKeyRing(files.key, files.passphrase)
  const found = ring.find(({ id }) => id === file.key)
  if (!found) {
    throw new FileProblem(`${files.store} was encrypted under key ${file.key}, which ${files.key} does not hold.`)
  }
  const content = openText(found.key, file.sealed, label)
  if (content === undefined) {
    throw new FileProblem(
      `${files.store} was damaged, or changed by somebody without its key; restore it from a backup.`,
    )
  }
  if (content === '') return new Map()
  return new Map(
    content.split('\n').map(line => {
      const end = line.indexOf(' ')
      return [line.slice(0, end), line.slice(end + 1)] as const
    }),
  )
}

function parsed(path: string, text: string): z.infer<typeof anyFile> {
  const content = parseJson(path, text)
  refuseLater(path, content, formatVersion)
  const file = anyFile.safeParse(content)
  if (file.success) return file.data
  const [issue] = file.error.issues
  throw new FileProblem(`${path}: ${issue?.path.join('.')}: ${issue?.message}.`)
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new FileProblem(`${path} is not JSON; restore it from a backup.`)
  }
}

/** One change after another, whichever process makes them. */
const locked = <T>({ store }: SubscriberFiles, work: () => Promise<T>): Promise<T> =>
  withFileLock(store, 'subscribers', work)
