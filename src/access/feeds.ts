import type { Documents, Observation } from '../document/documents.ts'
import { gathered } from '../document/y-state.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { DocumentId } from '../ports/names.ts'
import { encodeShared, type SharedFrame } from './frames.ts'

/** Somebody who reads a document along. It is told in the document's turn, among very many: each does next to nothing. */
export interface Follower {
  update(frame: SharedFrame): void
  /** The document was compacted, and is in this epoch now: the frame takes who was complete over, as `DocumentObserver` says. */
  compacted(frame: SharedFrame, epoch: number): void
  /** The document was rebuilt; nothing comes after. */
  epoch(epoch: number): void
  /** It threw something, and is told of nothing any more. */
  failed(error: unknown): void
}

export interface Following {
  /** Names the document on this server until it is rebuilt: the same for all who follow it. */
  readonly channel: number
  /** The document's, now. */
  readonly epoch: number
  /** What the document holds beyond a state vector, as a Yjs update. */
  diff(stateVector: Uint8Array): Promise<Uint8Array>
  /** Ends it; calling it again does nothing. */
  close(): void
}

/**
 * However many follow a document, it is observed once and each update is encoded once.
 *
 * To tell very many takes long, and those whose commands wait meanwhile wait for it. So after telling comes a while, a few times as
 * long as that took, in which updates are gathered as long as commands are under way, and then told as one.
 */
export interface Feeds {
  follow(document: DocumentId, follower: Follower): Promise<Following>
}

export interface FeedsOptions {
  readonly documents: Pick<Documents, 'observe'>
  readonly clock: Pick<Clock, 'elapsed' | 'after'>
  /** Whether commands of clients are being executed. */
  readonly isBusy: () => boolean
}

/** Telling takes at most a fifth of the time where commands wait. */
const restPerTold = 4
/** The longest that an update is kept back. */
const longestRestMs = 100
/** How often it is looked whether commands still wait. */
const lookMs = 2
/** So much is told at once, however busy it is. */
const gatheredBytesAtMost = 256 * 1024

interface Feed {
  readonly document: DocumentId
  readonly channel: number
  readonly followers: Set<Follower>
  readonly observation: Promise<Observation>
  /** Once it was compacted while it was observed. */
  epoch: number | undefined
  /** Until then what comes may be gathered. */
  restUntilMs: number
  /** What was gathered, and not told yet. */
  gathered: Uint8Array[]
  gatheredBytes: number
  cancelLook: Cancel
}

export function createFeeds({ documents, clock, isBusy }: FeedsOptions): Feeds {
  const feeds = new Map<DocumentId, Feed>()
  let lastChannel = 0

  return {
    async follow(document, follower) {
      const feed = feeds.get(document) ?? open(document)
      feed.followers.add(follower)
      try {
        const observation = await feed.observation
        return {
          channel: feed.channel,
          get epoch() {
            return feed.epoch ?? observation.epoch
          },
          diff: stateVector => observation.diff(stateVector),
          close: () => leave(feed, follower),
        }
      } catch (error) {
        leave(feed, follower)
        throw error
      }
    },
  }

  function open(document: DocumentId): Feed {
    const channel = ++lastChannel
    const followers = new Set<Follower>()
    const observation = documents.observe(document, {
      update: update => gather(feed, update),
      compacted(update, epoch) {
        tellGathered(feed)
        feed.epoch = epoch
        const frame = encodeShared(update, channel)
        told(feed, follower => follower.compacted(frame, epoch))
      },
      epoch(epoch) {
        tellGathered(feed)
        forget(feed)
        for (const follower of followers) follower.epoch(epoch)
      },
    })
    const nothing = { epoch: undefined, restUntilMs: 0, gathered: [], gatheredBytes: 0, cancelLook: () => {} }
    const feed: Feed = { document, channel, followers, observation, ...nothing }
    feeds.set(document, feed)
    return feed
  }

  function gather(feed: Feed, update: Uint8Array): void {
    feed.gathered.push(update)
    feed.gatheredBytes += update.length
    if (feed.gathered.length > 1 && feed.gatheredBytes < gatheredBytesAtMost) return
    look(feed)
  }

  /** Tells what was gathered, or looks again in a moment. */
  function look(feed: Feed): void {
    const leftMs = feed.restUntilMs - clock.elapsed()
    if (leftMs <= 0 || !isBusy() || feed.gatheredBytes >= gatheredBytesAtMost) tellGathered(feed)
    else feed.cancelLook = clock.after(Math.min(lookMs, leftMs), () => look(feed))
  }

  function tellGathered(feed: Feed): void {
    feed.cancelLook()
    if (feed.gathered.length === 0) return
    const beganMs = clock.elapsed()
    const frame = encodeShared(gathered(feed.gathered), feed.channel)
    feed.gathered = []
    feed.gatheredBytes = 0
    told(feed, follower => follower.update(frame))
    const nowMs = clock.elapsed()
    feed.restUntilMs = nowMs + Math.min(longestRestMs, restPerTold * (nowMs - beganMs))
  }

  /** Tells all; one that fails costs the others nothing. */
  function told(feed: Feed, tell: (follower: Follower) => void): void {
    for (const follower of feed.followers) {
      try {
        tell(follower)
      } catch (error) {
        leave(feed, follower)
        follower.failed(error)
      }
    }
  }

  function leave(feed: Feed, follower: Follower): void {
    if (!feed.followers.delete(follower) || feed.followers.size > 0) return
    forget(feed)
    // An observation that failed was reported to those who wanted to follow: there is nothing to close.
    feed.observation.then(
      observation => observation.close(),
      () => {},
    )
  }

  function forget(feed: Feed): void {
    feed.cancelLook()
    if (feeds.get(feed.document) === feed) feeds.delete(feed.document)
  }
}
