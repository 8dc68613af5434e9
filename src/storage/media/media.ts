import type { z } from 'zod'
import type { SignedClaims } from '../../commands/signed-claims.ts'
import { CommandRefused, type Principal } from '../../federation/command.ts'
import type { Clock } from '../../ports/clock.ts'
import {
  isMediaHash,
  type Mailbox,
  MediaCorrupt,
  type MediaFacts,
  type MediaName,
  type MediaRange,
  type MediaRecord,
  type MediaStore,
  type MediaUpload,
} from '../../ports/media-store.ts'
import type { OperatorId } from '../../ports/names.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import type { Admit, Admitted } from '../create-storage.ts'
import { mediaPath, type mediaTicket } from '../methods/media.ts'
import type { Media as ObjectMedia } from '../objects.ts'
import type { StoragePolicy } from '../policy.ts'
import { refusals } from '../refusals.ts'
import type { Fetching } from './fetching.ts'
import type { Keeping } from './keeping.ts'
import type { References } from './references.ts'
import type { MediaTicket } from './ticket.ts'

/** Media as clients send and get them. Everything is asked anew each time: a ticket says who it is and what for, not that he still may. */
export interface Media {
  /** What executes `media.ticket`. @throws {CommandRefused} */
  ticket(
    params: z.infer<(typeof mediaTicket)['params']>,
    principal: Principal,
  ): Promise<z.infer<(typeof mediaTicket)['result']>>
  /** What a ticket says, if it is one, and has not expired. */
  open(ticket: string): MediaTicket | undefined
  /**
   * What is known of a media that a ticket lets read; fetched from whoever has it if it is not here.
   * @throws {CommandRefused} 403; MEDIA_UNKNOWN
   */
  find(ticket: MediaTicket, name: MediaName): Promise<MediaRecord>
  /** What is known of a media; fetched from whoever has it if it is not here. @throws {CommandRefused} 503 when too many are fetched. */
  obtain(name: MediaName): Promise<MediaRecord | undefined>
  /**
   * Sees to it that media are here, and as large as is said, before an object refers to them.
   * @throws {CommandRefused} MEDIA_UNKNOWN, MALFORMED; 503 when too many are fetched
   */
  require(mailbox: Mailbox, referred: readonly Referred[]): Promise<void>
  /** @throws {MediaGone} {@link MediaCorrupt} */
  read(name: MediaName, range: MediaRange): AsyncIterable<Uint8Array>
  /**
   * Begins an upload, or goes on with one.
   * @throws {CommandRefused} 403; QUOTA_EXCEEDED. {@link MediaRefused}
   */
  upload(ticket: UploadTicket): Promise<MediaUpload>
}

/** A media as an object refers to it. */
type Referred = Pick<ObjectMedia, 'hash' | 'size'>

export type UploadTicket = Extract<MediaTicket, { readonly direction: 'up' }>

export interface MediaOptions {
  readonly self: OperatorId
  readonly store: MediaStore
  readonly tickets: SignedClaims<MediaTicket>
  readonly admit: Admit
  readonly references: References
  readonly keeping: Keeping
  readonly fetching: Fetching
  readonly clock: Pick<Clock, 'now'>
  readonly telemetry: Telemetry
  readonly policy: StoragePolicy
}

export function createMedia(options: MediaOptions): Media {
  const { self, store, tickets, admit, references, keeping, fetching, clock, telemetry, policy } = options

  /** Who may write a mailbox, or put objects into it, may put media into it. */
  async function admitUpload(mailbox: Mailbox, principal: Principal): Promise<Admitted> {
    try {
      return await admit('write', mailbox, principal)
    } catch (error) {
      if (!(error instanceof CommandRefused) || error.status !== 403) throw error
      return admit('deposit', mailbox, principal)
    }
  }

  /** Who may see some objects only may have their media only. */
  async function admitReading(ticket: Pick<MediaName, 'operator' | 'user'> & Partial<MediaName>, principal: Principal) {
    const { reach } = await admit('read', ticket, principal)
    if (reach.isWhole) return
    const { operator, user, hash } = ticket
    if (hash && (await references.refers({ operator, user }, hash, object => reach.sees(object)))) return
    throw refusals.notAuthorised('The caller may have only the media of objects of its addresses: name one.')
  }

  async function requireRoom(mailbox: Mailbox, size: number): Promise<void> {
    const used = await store.usage(mailbox)
    if (used + size > policy.quotaBytes) throw refusals.quota(used, policy.quotaBytes)
  }

  function requireAcceptable({ size, type }: MediaFacts): void {
    if (size > policy.maxMediaBytes) throw refusals.mediaTooLarge(size, policy.maxMediaBytes)
    if (!policy.mediaTypes.some(allowed => matches(type, allowed))) throw refusals.mediaType(type)
  }

  const principalOf = ({ identity }: MediaTicket): Principal => ({ operator: self, identity })

  /** What the disk has changed is as good as absent: others have it. */
  async function present(name: MediaName): Promise<MediaRecord | undefined> {
    try {
      return await store.stat(name)
    } catch (error) {
      if (!(error instanceof MediaCorrupt)) throw error
      telemetry.log('error', 'media.corrupt', { hash: name.hash, operator: name.operator })
      telemetry.count('cpns_media_corrupt_total')
      await store.remove(name)
      return undefined
    }
  }

  const obtain = async (name: MediaName): Promise<MediaRecord | undefined> =>
    (await present(name)) ?? ((await fetching.fetch(name)) ? present(name) : undefined)

  return {
    obtain,

    async require({ operator, user }, referred) {
      for (const { hash, size } of referred) {
        const found = isMediaHash(hash) ? await obtain({ operator, user, hash }) : undefined
        // The time of grace begins anew: the object that refers to it comes now.
        if (!found || !(await keeping.touch({ operator, user, hash: found.hash }))) throw refusals.mediaUnknown(hash)
        if (found.size !== size) throw refusals.malformed(`The media ${hash} has ${found.size} bytes, not ${size}.`)
      }
    },

    async ticket(params, principal) {
      const { operator, user } = params
      const expires = clock.now() + policy.mediaTicketMs
      const common = { operator, user, identity: principal.identity, expires }
      const { hash } = params
      if (hash !== undefined && !isMediaHash(hash)) throw refusals.malformed(`${hash} is not the hash of anything.`)
      const path = `${mediaPath}${operator}/${encodeURIComponent(user)}/${hash ?? ''}`
      if (params.direction === 'down') {
        await admitReading({ operator, user, ...(hash && { hash }) }, principal)
        return { ticket: tickets.sign({ ...common, direction: 'down', ...(hash && { hash }) }), expires, path }
      }
      const { size, type } = params
      await admitUpload({ operator, user }, principal)
      requireAcceptable({ size, type })
      await requireRoom({ operator, user }, size)
      if (!hash) throw refusals.malformed('The hash of what is to be sent is missing.')
      return { ticket: tickets.sign({ ...common, direction: 'up', hash, size, type }), expires, path }
    },

    open(text) {
      const ticket = tickets.open(text)
      return ticket && ticket.expires > clock.now() ? ticket : undefined
    },

    async find(ticket, name) {
      await admitReading(name, principalOf(ticket))
      const found = await obtain(name)
      if (!found) throw refusals.mediaUnknown(name.hash)
      return found
    },

    async *read(name, range) {
      try {
        yield* store.read(name, range)
      } catch (error) {
        // The next who asks has it fetched again.
        if (error instanceof MediaCorrupt) await store.remove(name)
        throw error
      }
    },

    async upload(ticket) {
      const { operator, user, hash, size, type } = ticket
      const name = { operator, user, hash }
      await admitUpload(name, principalOf(ticket))
      // Who sends what is there already is about to refer to it.
      const isThere = (await present(name)) !== undefined && (await keeping.touch(name))
      const upload = await store.upload(name, { size, type })
      if (!isThere && upload.offset === 0) await requireRoom(name, size)
      keeping.stored(name)
      return upload
    },
  }
}

function matches(type: string, allowed: string): boolean {
  if (allowed === '*') return true
  return allowed.endsWith('/*') ? type.startsWith(allowed.slice(0, -1)) : type === allowed
}
