import type { ExaminedManifest } from '../../admin/trusting.ts'
import type { Update } from '../shapes.ts'
import type { ConnectionState, Method } from './connection.ts'

/* What the page knows, and where in it the reader is. */

export const places = [
  { name: 'overview', label: 'Overview' },
  { name: 'federation', label: 'Federation' },
  { name: 'networks', label: 'Networks' },
  { name: 'mailboxes', label: 'Mailboxes' },
  { name: 'documents', label: 'Documents' },
  { name: 'alarms', label: 'Alarms' },
  { name: 'actions', label: 'Actions' },
] as const
export type PlaceName = (typeof places)[number]['name']

/** A place, and what of it is shown, as it stands behind the `#` of the address. */
export interface Place {
  readonly name: PlaceName
  /** A Personal Network, a mailbox, a document. */
  readonly item?: string
}

export function placeAt(hash: string): Place {
  const [, name, item] = /^#\/([a-z]+)(?:\/(.+))?$/.exec(hash) ?? []
  const found = places.find(place => place.name === name)?.name ?? 'overview'
  return { name: found, ...(item !== undefined && { item: decoded(item) }) }
}

export const hashOf = ({ name, item }: Place): string =>
  `#/${name}${item === undefined ? '' : `/${encodeURIComponent(item)}`}`

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Something that was asked for. While it is asked for anew what was answered before stays. */
export interface Asked {
  readonly value?: unknown
  readonly error?: string
  readonly isAsking: boolean
}

/** An action that waits for a word, or for what came of it. */
export interface Confirming {
  readonly method: Method
  readonly path: string
  readonly body: object
  /** What has to be said with it, and as which field of the body. */
  readonly asks?: { readonly field: string; readonly label: string; readonly most: number }
  readonly label: string
  readonly text: string
  readonly isGrave: boolean
  readonly stage: 'asked' | 'sent'
  readonly error?: string
}

/** An operator that is to be trusted: what its manifest says, once the node has examined it. */
export interface Trusting {
  readonly manifest?: string
  readonly found?: ExaminedManifest
  readonly isAsking: boolean
  readonly error?: string
}

export interface State {
  readonly connection: ConnectionState
  readonly told: Update
  readonly place: Place
  /** By path. */
  readonly asked: ReadonlyMap<string, Asked>
  readonly search: Readonly<Partial<Record<PlaceName, string>>>
  /** How many pages of its list a view shows, if more than one. */
  readonly pages: Readonly<Partial<Record<PlaceName, number>>>
  readonly confirming?: Confirming | undefined
  readonly trusting?: Trusting | undefined
  /** Said once to who listens to the page: that something was done, or has changed for the worse. */
  readonly notice: string
  /** Pixels that a view has beside the navigation. */
  readonly widthPx: number
}
