import { createHash } from 'node:crypto'
import { z } from 'zod'
import { type FileTree, NoRoom } from '../ports/file-tree.ts'
import {
  isMediaHash,
  type Mailbox,
  MediaCorrupt,
  type MediaFacts,
  MediaGone,
  type MediaName,
  MediaRefused,
  type MediaStore,
  MediaTooLong,
  type MediaUpload,
} from '../ports/media-store.ts'
import { isOperatorId } from '../ports/names.ts'
import { MediaFile } from './media-format.ts'
import { PartFile } from './media-upload.ts'

/** Uploads whose hash is kept between two requests; what is beyond them is read again when it goes on. */
const maxRemembered = 256
/** Beside a blob's name, for what is still on its way. */
const partSuffix = '.part'
const mailboxFile = 'mailbox.json'

const mailboxSchema = z.strictObject({
  operator: z.string().refine(isOperatorId),
  user: z.string(),
})

/**
 * Media over a tree of files. A mailbox's folder is named by a hash of its name, two levels deep: names of users would
 * meet in a file system that does not tell `A` from `a`. The file `mailbox.json` says whose it is.
 */
export function treeMediaStore(tree: FileTree): MediaStore {
  /** The least recently used first. */
  const parts = new Map<string, PartFile>()
  /** Mailboxes whose folder is being made. */
  const making = new Map<string, Promise<void>>()
  let isOpen = true

  const fileOf = (name: MediaName): string => `${folderOf(name)}/${name.hash}`
  const partOf = (name: MediaName): string => `${fileOf(name)}${partSuffix}`
  const blob = (name: MediaName): MediaFile => new MediaFile(tree, fileOf(name), name)

  function partFile(name: MediaName): PartFile {
    const part = partOf(name)
    const file = parts.get(part) ?? new PartFile({ tree, name, part, path: fileOf(name) })
    parts.delete(part)
    parts.set(part, file)
    for (const [path, other] of parts) {
      if (parts.size <= maxRemembered) break
      if (other.isBusy || other === file) continue
      other.release()
      parts.delete(path)
    }
    return file
  }

  /** Ends the uploads whose path begins so. */
  async function forget(beginning: string): Promise<void> {
    const forgotten = [...parts].filter(([path]) => path.startsWith(beginning))
    for (const [path, file] of forgotten) {
      file.release()
      parts.delete(path)
    }
    await Promise.all(forgotten.map(([, file]) => file.settled()))
  }

  function makeMailbox(mailbox: Mailbox): Promise<void> {
    const folder = folderOf(mailbox)
    const made = making.get(folder) ?? writeMailbox(mailbox).finally(() => making.delete(folder))
    making.set(folder, made)
    return made
  }

  async function writeMailbox({ operator, user }: Mailbox): Promise<void> {
    const folder = folderOf({ operator, user })
    if (await tree.stat(`${folder}/${mailboxFile}`)) return
    const draft = `${folder}/${mailboxFile}${partSuffix}`
    try {
      await tree.write(draft, 0, new TextEncoder().encode(JSON.stringify({ operator, user })))
      await tree.publish(draft, `${folder}/${mailboxFile}`)
    } catch (error) {
      throw error instanceof NoRoom ? new MediaRefused(error.message, { cause: error }) : error
    }
  }

  async function upload(name: MediaName, facts: MediaFacts): Promise<MediaUpload> {
    if (!isOpen) throw new MediaRefused('The store of media is closed.')
    const present = await blob(name).footer().catch(unlessCorrupt)
    if (present) return finished(present.size)
    await makeMailbox(name)
    const file = partFile(name)
    const { hold, offset } = await file.take(facts)
    let held = offset
    return {
      get offset() {
        return held
      },
      isStored: false,
      async append(bytes) {
        held = await file.append(hold, facts, bytes)
        return held
      },
      async finish() {
        await file.finish(hold, facts)
        parts.delete(partOf(name))
      },
      discard: () => file.discard(hold),
    }
  }

  async function* read(name: MediaName, range?: { readonly from: number; readonly to: number }) {
    const file = blob(name)
    const footer = await file.footer()
    if (!footer) throw new MediaGone(name.hash)
    const { from, to } = range ?? { from: 0, to: footer.size }
    if (from < 0 || to > footer.size || from > to)
      throw new RangeError(`${from} to ${to} is not within ${footer.size} bytes.`)
    yield* file.chunks(footer, from, to)
  }

  async function* folders(): AsyncGenerator<string> {
    for (const first of await tree.list('')) {
      if (first.length !== 2) continue
      for (const second of await tree.list(first)) {
        for (const rest of await tree.list(`${first}/${second}`)) yield `${first}/${second}/${rest}`
      }
    }
  }

  async function mailboxAt(folder: string): Promise<Mailbox | undefined> {
    const path = `${folder}/${mailboxFile}`
    const bytes = await tree.read(path, 0, (await tree.stat(path))?.size ?? 0)
    const found = bytes && mailboxSchema.safeParse(jsonOf(bytes))
    return found?.success && folderOf(found.data) === folder ? found.data : undefined
  }

  async function sweepFolder(folder: string, beforeMs: number): Promise<number> {
    let removed = 0
    for (const name of await tree.list(folder)) {
      const path = `${folder}/${name}`
      if (!name.endsWith(partSuffix) || parts.get(path)?.isBusy) continue
      const found = await tree.stat(path)
      if (!found || found.changedMs >= beforeMs) continue
      await forget(path)
      await tree.remove(path)
      removed += 1
    }
    return removed
  }

  return {
    upload,
    read,

    async stat(name) {
      const footer = await blob(name).footer()
      return footer && { hash: name.hash, size: footer.size, type: footer.type, storedMs: footer.storedMs }
    },

    touch: name => tree.touch(fileOf(name)),

    async *list(mailbox) {
      for (const hash of await tree.list(folderOf(mailbox))) {
        if (!isMediaHash(hash)) continue
        const footer = await blob({ ...mailbox, hash })
          .footer()
          .catch(unlessCorrupt)
        if (footer) yield { hash, size: footer.size, type: footer.type, storedMs: footer.storedMs }
      }
    },

    async usage(mailbox) {
      const folder = folderOf(mailbox)
      let bytes = 0
      for (const name of await tree.list(folder)) {
        if (name !== mailboxFile) bytes += (await tree.stat(`${folder}/${name}`))?.size ?? 0
      }
      return bytes
    },

    async *mailboxes() {
      for await (const folder of folders()) {
        const mailbox = await mailboxAt(folder)
        if (mailbox) yield mailbox
      }
    },

    remove: name => tree.remove(fileOf(name)),

    async removeMailbox(mailbox) {
      await forget(`${folderOf(mailbox)}/`)
      await tree.remove(folderOf(mailbox))
    },

    async sweep(beforeMs) {
      let removed = 0
      for await (const folder of folders()) removed += await sweepFolder(folder, beforeMs)
      return removed
    },

    async close() {
      isOpen = false
      await forget('')
    },
  }
}

/** Of a blob that is there already. */
const finished = (size: number): MediaUpload => ({
  offset: size,
  isStored: true,
  async append(bytes) {
    for await (const chunk of bytes) if (chunk.length > 0) throw new MediaTooLong(size)
    return size
  },
  finish: async () => {},
  discard: async () => {},
})

function folderOf({ operator, user }: Mailbox): string {
  const name = createHash('sha256').update(`${operator}/${user}`).digest('hex')
  return `${name.slice(0, 2)}/${name.slice(2, 4)}/${name.slice(4)}`
}

/** A blob that the disk has changed can be sent again: it is then replaced. */
function unlessCorrupt(error: unknown): undefined {
  if (!(error instanceof MediaCorrupt)) throw error
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}
