import type { Federation } from '../../federation/federation.ts'
import {
  ChecksumMismatch,
  type MediaName,
  MediaRefused,
  type MediaStore,
  MediaTooLong,
} from '../../ports/media-store.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import { refusals } from '../refusals.ts'

/*
 * Media that are not here are fetched from a server that has them: of the own operator, of the mailbox's, or of one that it
 * was granted to. What came before a cut is kept, and the next server goes on with it. A media is fetched once, however many
 * wait for it; what comes is stored only if it has the hash that it is called by.
 */

export interface Fetching {
  /** Resolves when it is stored, or nobody who can be reached has it. @throws {CommandRefused} 503 when too many are under way. */
  fetch(name: MediaName): Promise<boolean>
}

export interface FetchingOptions {
  readonly store: MediaStore
  readonly federation: () => Pick<Federation, 'linked' | 'fetchMedia'>
  /** Operators that may have it, the nearest first. */
  readonly holders: (name: MediaName) => Promise<readonly OperatorId[]>
  readonly stored: (name: MediaName) => void
  readonly maxBytes: () => number
  readonly telemetry: Telemetry
}

const maxUnderWay = 64
/** A server whose stream broke off is asked once more: from where it broke off. */
const attempts = 2

type Outcome = 'stored' | 'absent' | 'broken'

export function createFetching(options: FetchingOptions): Fetching {
  const { store, federation, holders, stored, maxBytes, telemetry } = options
  const underWay = new Map<string, Promise<boolean>>()

  async function fetchAll(name: MediaName): Promise<boolean> {
    for (const operator of await holders(name)) {
      for (const server of federation().linked(operator)) {
        if (await fetchFrom(server, name)) return true
      }
    }
    return false
  }

  async function fetchFrom(server: ServerId, name: MediaName): Promise<boolean> {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const outcome = await attemptFrom(server, name)
      if (outcome !== 'broken') return outcome === 'stored'
    }
    return false
  }

  async function attemptFrom(server: ServerId, name: MediaName): Promise<Outcome> {
    let isResumed = false
    try {
      return (await federation().fetchMedia(server, name, async found => {
        if (found.size > maxBytes()) throw new MediaTooLong(maxBytes())
        const upload = await store.upload(name, found)
        isResumed = upload.offset > 0
        await upload.append(found.bytes(upload.offset))
        await upload.finish()
        stored(name)
        telemetry.count('cpns_media_fetched_total')
        telemetry.count('cpns_media_fetched_bytes_total', {}, found.size)
      }))
        ? 'stored'
        : 'absent'
    } catch (error) {
      telemetry.log('warn', 'media.fetch-failed', { peer: server, hash: name.hash, message: String(error) })
      // Another one would fail in the same way.
      if (error instanceof MediaRefused) throw error
      // What does not fit may be what another server sent before: it is gone now, and this one is asked for the whole.
      const isHopeless = (error instanceof ChecksumMismatch && !isResumed) || error instanceof MediaTooLong
      if (isHopeless) telemetry.count('cpns_media_fetch_refused_total')
      return isHopeless ? 'absent' : 'broken'
    }
  }

  return {
    fetch(name) {
      const key = `${name.operator}/${name.user}/${name.hash}`
      const known = underWay.get(key)
      if (known) return known
      if (underWay.size >= maxUnderWay) return Promise.reject(refusals.tooManyFetches())
      const fetched = fetchAll(name).finally(() => underWay.delete(key))
      underWay.set(key, fetched)
      return fetched
    },
  }
}
