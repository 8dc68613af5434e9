import type { Documents, Observation } from '../document/documents.ts'
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

/** However many follow a document, it is observed once and each update is encoded once. */
export interface Feeds {
  follow(document: DocumentId, follower: Follower): Promise<Following>
}

interface Feed {
  readonly document: DocumentId
  readonly channel: number
  readonly followers: Set<Follower>
  readonly observation: Promise<Observation>
  /** Once it was compacted while it was observed. */
  epoch: number | undefined
}

export function createFeeds(documents: Pick<Documents, 'observe'>): Feeds {
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
      update(update) {
        const frame = encodeShared(update, channel)
        told(feed, follower => follower.update(frame))
      },
      compacted(update, epoch) {
        feed.epoch = epoch
        const frame = encodeShared(update, channel)
        told(feed, follower => follower.compacted(frame, epoch))
      },
      epoch(epoch) {
        forget(feed)
        for (const follower of followers) follower.epoch(epoch)
      },
    })
    const feed: Feed = { document, channel, followers, observation, epoch: undefined }
    feeds.set(document, feed)
    return feed
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
    if (feeds.get(feed.document) === feed) feeds.delete(feed.document)
  }
}
