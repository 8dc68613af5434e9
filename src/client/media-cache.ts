import { downloadMedia, type MediaPorts, type MediaTransfer } from './media.ts'
import type { Session } from './session.ts'

/*
 * Media that were received, kept in memory for as long as there is room: what is shown again is not received again. Media never change,
 * and each has been held against its hash before it is kept; so nothing in here is ever out of date.
 *
 * It asks nobody whether its owner may still read them: clear it when that ends.
 */

export interface MediaCache {
  /**
   * All bytes of a media, received or kept. Who asks for what is on its way waits for that. The bytes are shared: do not write into them.
   * @throws what {@link downloadMedia} throws; nothing is kept then
   */
  get(session: Session, wanted: WantedMedia): Promise<Uint8Array>
  /** Bytes that are kept. */
  readonly bytes: number
  clear(): void
}

export interface WantedMedia extends Pick<MediaTransfer, 'operator' | 'user'> {
  readonly hash: string
}

export interface MediaCacheOptions {
  /** Kept together at the most; what was asked for longest ago goes first. Default: 64 MiB. */
  readonly maxBytes?: number
  /** Of one media: larger ones are given, and not kept. Default: a quarter of `maxBytes`. */
  readonly maxMediaBytes?: number
}

const defaultMaxBytes = 64 * 1024 * 1024

export function createMediaCache(
  ports: MediaPorts,
  { maxBytes = defaultMaxBytes, maxMediaBytes = maxBytes / 4 }: MediaCacheOptions = {},
): MediaCache {
  /** The one that was asked for last stands last. */
  const kept = new Map<string, Uint8Array>()
  const underWay = new Map<string, Promise<Uint8Array>>()
  let bytes = 0

  function keep(key: string, media: Uint8Array): void {
    if (media.length > Math.min(maxMediaBytes, maxBytes)) return
    kept.set(key, media)
    bytes += media.length
    for (const [oldest, { length }] of kept) {
      if (bytes <= maxBytes) break
      kept.delete(oldest)
      bytes -= length
    }
  }

  function receive(key: string, session: Session, wanted: WantedMedia): Promise<Uint8Array> {
    const receiving = whole(downloadMedia(session, ports, wanted))
      .then(media => {
        // It may have been cleared meanwhile.
        if (underWay.get(key) === receiving) keep(key, media)
        return media
      })
      .finally(() => {
        if (underWay.get(key) === receiving) underWay.delete(key)
      })
    underWay.set(key, receiving)
    return receiving
  }

  return {
    get bytes() {
      return bytes
    },

    async get(session, { operator, user, hash }) {
      const key = `${operator}/${user}/${hash}`
      const known = kept.get(key)
      if (!known) return underWay.get(key) ?? receive(key, session, { operator, user, hash })
      kept.delete(key)
      kept.set(key, known)
      return known
    },

    clear() {
      kept.clear()
      underWay.clear()
      bytes = 0
    },
  }
}

async function whole(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts = await Array.fromAsync(pieces)
  const media = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    media.set(part, at)
    at += part.length
  }
  return media
}
