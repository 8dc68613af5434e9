import type { Documents } from '../../document/documents.ts'
import type { Principal } from '../../federation/command.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { MediaStore } from '../../ports/media-store.ts'
import type { OperatorId } from '../../ports/names.ts'
import type { ZipFormat } from '../../ports/zip-format.ts'
import type { Admit } from '../create-storage.ts'
import type { Media } from '../media/media.ts'
import type { MailboxName } from '../names.ts'
import type { StoragePolicy } from '../policy.ts'
import { refusals } from '../refusals.ts'
import type { Writers } from '../writers.ts'
import type { ArchiveFormat, ArchiveLimits } from './archived.ts'
import { exportMailbox } from './export-mailbox.ts'
import { importArchive } from './import-archive.ts'
import { type ImportReport, importing } from './importing.ts'
import { mailboxSource } from './mailbox-source.ts'

/** Mailboxes as archives, for who has the rights to read or to write them. */
export interface MailboxArchives {
  /**
   * What the caller sees of a mailbox, at any server that holds it. It is read as the archive is: what changes meanwhile may be
   * in it or not.
   * @throws {CommandRefused} 403; USER_UNKNOWN
   */
  export(name: MailboxName, principal: Principal, format: ArchiveFormat): Promise<AsyncIterable<Uint8Array>>
  /**
   * Puts into a mailbox what an archive holds and the mailbox does not, at its home operator. Repeated, it adds nothing.
   * Ends early when the mailbox is full: what was added stays.
   * @throws {CommandRefused} 403; USER_UNKNOWN; ELSEWHERE
   */
  import(
    name: MailboxName,
    principal: Principal,
    format: ArchiveFormat,
    archive: AsyncIterable<Uint8Array>,
  ): Promise<ImportReport>
}

export interface ArchivesOptions {
  readonly self: OperatorId
  readonly documents: Pick<Documents, 'read'>
  readonly writers: Writers
  readonly admit: Admit
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly policy: StoragePolicy
  readonly zip: ZipFormat
  /** Absent: objects are archived without the bytes of their media, and imported without those of foreign messages. */
  readonly media?: MediaStore
  /** Fetches what other servers have. Left out: what is here is archived. */
  readonly obtain?: Media['obtain']
}

const maxMessages = 10_000_000

export function createMailboxArchives(options: ArchivesOptions): MailboxArchives {
  const { self, admit, zip, policy } = options
  // Base64 and headers make half as much again; what is there already comes too.
  const maxBytes = policy.quotaBytes * 3
  const limits: ArchiveLimits = { maxMessageBytes: maxBytes, maxBytes, maxMessages }

  return {
    async export(name, principal, format) {
      const { mailbox, reach } = await admit('read', name, principal)
      return exportMailbox(mailboxSource(name, mailbox, reach, options), { format, zip })
    },

    async import(name, principal, format, archive) {
      if (name.operator !== self) throw refusals.elsewhere(name.operator)
      const { reach } = await admit('write', name, principal)
      return importing({ ...options, name, reach }, importArchive(archive, { format, zip, limits }))
    },
  }
}
