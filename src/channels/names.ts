import { framed, toBase64url, utf8 } from '../commands/framing.ts'
import { documentId, isSegment } from '../document/names.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'

/*
 * Names of what belongs to application channels. They follow from what they name, so that every server of the operator gives the
 * same one without asking another.
 */

type Hashing = Pick<Crypto, 'sha256'>

/** 128 bits: nobody finds two of one name, nor needs to guess one, since a name alone opens nothing. */
const nameBytes = 16

const named = (crypto: Hashing, ...parts: readonly string[]): string =>
  toBase64url(crypto.sha256(framed(...parts)).subarray(0, nameBytes))

/** The document that holds the channels of a subscriber, and what waits in them. */
export const channelsDocument = (operator: OperatorId, identity: string, crypto: Hashing): DocumentId =>
  documentId({ kind: 'channels', owner: operator, user: isSegment(identity) ? identity : hashed(identity, crypto) })

/** Not every identity may stand in the id of a document; none has a tilde in it. */
const hashed = (identity: string, crypto: Hashing): string => `x~${toBase64url(crypto.sha256(utf8(identity)))}`

/** Where a channel leads: to one application, in one place where it is installed, of one subscriber. */
export interface ChannelPlace {
  readonly operator: OperatorId
  readonly identity: string
  readonly application: string
  readonly instance: string
}

export const channelOf = ({ operator, identity, application, instance }: ChannelPlace, crypto: Hashing): string =>
  named(crypto, 'cpns-channel-v1', operator, identity, application, instance)

/** The name of a message that its sender gave a key of its own: the same message, at whichever server it is sent again. */
export const messageOf = (channel: string, key: string, crypto: Hashing): string =>
  named(crypto, 'cpns-channel-message-v1', channel, key)
