import { z } from 'zod'
import { draftOf, type Output } from '../../adapters/backup/files.ts'
import { BackupRefused, type End, type Header, isInside } from '../../adapters/backup/format.ts'
import { readBackup } from '../../adapters/backup/reader.ts'
import { unlockText } from '../../adapters/key-ring.ts'
import { newLevelStore, type RestoredStore } from '../../adapters/level-log-store.ts'
import { sealedLabel } from './take.ts'

export interface Backup {
  readonly header: Header
  readonly end: End
  /** Whether keys are in it. */
  readonly hasKeys: boolean
}

export interface ReadOptions {
  readonly input: AsyncIterable<Uint8Array>
  readonly told: (progress: { readonly bytes: number }) => void
}

export interface RestoreOptions extends ReadOptions {
  readonly folder: string
  /** Opens the keys that are in it; without one they are left out. */
  readonly passphrase?: string
}

/** Reads a backup to its end, and writes nothing. @throws {BackupRefused} {UnknownFormat} */
export const checkBackup = (options: ReadOptions): Promise<Backup> => read(options, nowhere)

/**
 * Makes a node's folder of a backup, or nothing. The server that starts on it begins new logs, as after every start, so it
 * takes nothing back of what others hold, and is brought by its peers what came after the backup.
 * @param options.folder a new one, or an empty one
 * @throws {BackupRefused} {UnknownFormat} {@link FileProblem}; then the folder is as it was
 */
export async function restoreBackup({ folder, passphrase, ...options }: RestoreOptions): Promise<Backup> {
  const draft = await draftOf(folder)
  let store: RestoredStore | undefined
  try {
    const backup = await read(options, {
      begin: async ({ data }) => {
        store = await newLevelStore(`${draft.path}/${data}`)
      },
      records: async records => store?.put(records),
      file: name => draft.file(name),
      sealed: async text => {
        if (passphrase === undefined) return
        for (const [name, content] of Object.entries(await secretsIn(text, passphrase))) {
          const file = await draft.file(name)
          await file.write(Buffer.from(content))
          await file.finish()
        }
      },
    })
    await store?.close()
    store = undefined
    await draft.finish()
    return backup
  } catch (error) {
    await store?.close().catch(() => undefined)
    await draft.discard()
    throw error
  }
}

interface Taker {
  begin(header: Header): Promise<void>
  records(records: readonly (readonly [Uint8Array, Uint8Array])[]): Promise<void>
  file(name: string): Promise<Output>
  sealed(text: string): Promise<void>
}

const nothing: Output = { write: async () => {}, finish: async () => {}, discard: async () => {} }
const nowhere: Taker = {
  begin: async () => {},
  records: async () => {},
  file: async () => nothing,
  sealed: async () => {},
}
const maxSealedBytes = 16 * 1024 * 1024

async function read({ input, told }: ReadOptions, taker: Taker): Promise<Backup> {
  let header: Header | undefined
  let file: Output | undefined
  let sealed: Buffer | undefined
  let bytes = 0
  try {
    for await (const part of readBackup(input)) {
      switch (part.kind) {
        case 'header':
          header = part.header
          await taker.begin(header)
          break
        case 'records':
          await taker.records(part.records)
          for (const [key, value] of part.records) bytes += key.length + value.length
          break
        case 'file':
          await file?.finish()
          file = part.file.section === 'sealed' ? undefined : await taker.file(part.file.name)
          sealed = part.file.section === 'sealed' ? Buffer.alloc(0) : sealed
          break
        case 'data':
          bytes += part.bytes.length
          if (file) await file.write(part.bytes)
          else sealed = joined(sealed, part.bytes)
          break
        case 'end': {
          await file?.finish()
          file = undefined
          if (sealed) await taker.sealed(sealed.toString('utf8'))
          if (!header) throw new BackupRefused('The backup has no beginning.')
          return { header, end: part.end, hasKeys: sealed !== undefined }
        }
      }
      told({ bytes })
    }
  } finally {
    await file?.discard()
  }
  throw new BackupRefused('The backup has no end.')
}

/** @throws {BackupRefused} */
function joined(sealed: Buffer = Buffer.alloc(0), bytes: Uint8Array): Buffer {
  if (sealed.length + bytes.length > maxSealedBytes)
    throw new BackupRefused('The keys in the backup are longer than keys are.')
  return Buffer.concat([sealed, bytes])
}

const secrets = z.record(z.string().refine(isInside), z.string())

async function secretsIn(text: string, passphrase: string): Promise<Record<string, string>> {
  const opened = await unlockText(passphrase, text, sealedLabel)
  if (opened === undefined)
    throw new BackupRefused('The keys in the backup were sealed by another passphrase than CPNS_PASSPHRASE.')
  return secrets.parse(JSON.parse(opened))
}
