import { type DevicePolicy, defaultDevicePolicy } from './devices/preferences.ts'
import { defaultPace, type PaceLimits } from './notifications/pace.ts'

/** What an operator lets its users have. */
export interface StoragePolicy {
  /** Bytes of objects and media that one user may store. */
  readonly quotaBytes: number
  /** After so long objects with the flag \Deleted are expunged. */
  readonly deletedMs: number
  /** After so long all objects are expunged that have not the flag \Flagged; absent: never. */
  readonly maxAgeMs?: number | undefined
  readonly maxFolders: number
  /** Whether operators that this one federates with may hold the directory of its addresses. */
  readonly isDirectoryShared: boolean
  /** A new part begins after so many objects, or characters of JSON. */
  readonly partObjects: number
  readonly partChars: number
  /**
   * So many bytes of the mailbox document are kept for what is not said of conversations: what has no other room goes to index
   * parts, as long as this is more than 0.
   */
  readonly mailboxReserveBytes: number
  /** How long a sync token is good. */
  readonly tokenMs: number
  /** For so much longer it is remembered what was expunged: a token may come from a server that was away so long. */
  readonly offlineMs: number
  readonly devices: DevicePolicy
  /** How often a device is told that something has changed. */
  readonly notifications: PaceLimits
  /** Bytes of one media. */
  readonly maxMediaBytes: number
  /** Types that media may have: `image/png`, `image/*`, or `*` for all. */
  readonly mediaTypes: readonly string[]
  /** For so long media stay that nothing refers to, and uploads that nobody goes on with. */
  readonly mediaGraceMs: number
  /** How long a ticket for media is good. */
  readonly mediaTicketMs: number
}

/** What of it can be changed while the node runs. */
export type ChangeablePolicy = Pick<StoragePolicy, 'devices' | 'notifications' | 'maxMediaBytes' | 'mediaTypes'>

const dayMs = 86_400_000

export const defaultPolicy: StoragePolicy = {
  quotaBytes: 10 * 2 ** 30,
  deletedMs: 30 * dayMs,
  maxFolders: 1_000,
  isDirectoryShared: false,
  partObjects: 2_000,
  partChars: 2 ** 20,
  mailboxReserveBytes: 3.5 * 2 ** 20,
  tokenMs: 90 * dayMs,
  offlineMs: 30 * dayMs,
  devices: defaultDevicePolicy,
  notifications: defaultPace,
  maxMediaBytes: 256 * 2 ** 20,
  mediaTypes: ['*'],
  mediaGraceMs: dayMs,
  mediaTicketMs: 3_600_000,
}

/** A policy that whoever holds it reads anew each time, as it holds then. */
export function changingPolicy(given: Partial<StoragePolicy> = {}): {
  readonly policy: StoragePolicy
  change(to: ChangeablePolicy): void
} {
  const policy = { ...defaultPolicy, ...given }
  const [devices, notifications] = [{ ...policy.devices }, { ...policy.notifications }]
  const changing = { ...policy, devices, notifications }
  return {
    policy: changing,
    change(to) {
      Object.assign(devices, to.devices)
      Object.assign(notifications, to.notifications)
      changing.maxMediaBytes = to.maxMediaBytes
      changing.mediaTypes = to.mediaTypes
    },
  }
}
