import type { Documents, Observation } from '../document/documents.ts'
import type { DocumentId } from '../ports/names.ts'
import { encodeShared, type SharedFrame } from './frames.ts'

/** Somebody who reads a document along. */
export interface Follower {
  update(frame: SharedFrame): void
  /** The document was rebuilt; nothing comes after. */
  epoch(epoch: number): void
}

export interface Following {
  /** Names the document on this server until it is rebuilt: the same for all who follow it. */
  readonly channel: number
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
  readonly channel: number
  readonly followers: Set<Follower>
  readonly observation: Promise<Observation>
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
          epoch: observation.epoch,
          diff: stateVector => observation.diff(stateVector),
          close: () => leave(document, feed, follower),
        }
      } catch (error) {
        leave(document, feed, follower)
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
        for (const follower of followers) follower.update(frame)
      },
      epoch(epoch) {
        forget(document, feed)
        for (const follower of followers) follower.epoch(epoch)
      },
    })
    const feed = { channel, followers, observation }
    feeds.set(document, feed)
    return feed
  }

  function leave(document: DocumentId, feed: Feed, follower: Follower): void {
    if (!feed.followers.delete(follower) || feed.followers.size > 0) return
    forget(document, feed)
    // An observation that failed was reported to those who wanted to follow: there is nothing to close.
    feed.observation.then(
      observation => observation.close(),
      () => {},
    )
  }

  function forget(document: DocumentId, feed: Feed): void {
    if (feeds.get(document) === feed) feeds.delete(document)
  }
}
