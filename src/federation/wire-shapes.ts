import { bytes, message, number, shape } from './frame-shape.ts'
import { maxManifestBytes } from './manifest.ts'
import { maxAnsweredPlaces, maxHashes, maxQueriedLists, saltBytes, saltedBytes } from './reconciliation/parts.ts'

/*
 * The bounds of wire.proto, field by field.
 */

/** The longest frame, either way: several times the largest entry, so that a few travel together. */
export const maxFrameBytes = 1024 * 1024
/** Logs of one document: a multiple of what documents take. */
export const maxHeads = 1_024
/** Entries in one frame, however small. */
export const maxEntriesPerFrame = 4_096
export const maxHelloManifests = 256
/** Bytes of manifests in one hello; what does not fit follows later, one by one. */
export const maxHelloManifestBytes = 768 * 1024
/** Manifests of a document's owner in one frame. */
export const maxAuthorManifests = 32
/** JSON of a command or an answer. */
export const maxJsonBytes = 512 * 1024

/** Servers that one server names as linked. */
export const maxLinked = 4_096

export const runBytes = 16
export const logBytes = 16
export const hashBytes = 32
const maxDocumentIdBytes = 1_024
const maxServerIdBytes = 128
const maxNameBytes = 253

const document = bytes(maxDocumentIdBytes)
const name = bytes(maxNameBytes)

export const greetingShape = shape(
  [
    1,
    message(
      [1, number(16)],
      [2, name],
      [3, bytes(maxManifestBytes, maxHelloManifests)],
      [4, bytes(runBytes)],
      [5, number()],
    ),
  ],
  [2, message([1, number()], [2, bytes(64)])],
)

/** A place of a hash tree: its depth, and the digits of the keys in it. */
export const placeBytes = 9
/** Which of the sixteen places below a node hold something. */
export const presentBytes = 2
const partsShape = message(
  [1, bytes(maxAnsweredPlaces * placeBytes)],
  [2, bytes(maxAnsweredPlaces * presentBytes)],
  [3, bytes(maxAnsweredPlaces * placeBytes)],
  [4, number(maxAnsweredPlaces)],
  [5, bytes(maxQueriedLists * placeBytes)],
  [6, number(maxQueriedLists)],
  [7, bytes(maxHashes * saltedBytes)],
)

export const syncShape = shape(
  [
    3,
    message(
      [1, document],
      [2, bytes(maxHeads * logBytes)],
      [3, number(maxHeads)],
      [4, bytes(maxHeads * hashBytes)],
      [5, number(maxHeads)],
      [6, number()],
      [7, number()],
    ),
  ],
  [
    4,
    message(
      [1, document],
      [2, bytes(maxFrameBytes, maxEntriesPerFrame)],
      [3, bytes(maxManifestBytes, maxAuthorManifests)],
    ),
  ],
  [5, bytes(maxManifestBytes)],
  [6, message([1, number()], [2, number()], [3, number()], [4, number()], [5, number()], [6, number()])],
  [7, message()],
  [8, message([1, bytes(maxServerIdBytes, maxLinked)], [2, number(maxLinked)])],
  [9, message([1, number()], [2, bytes(saltBytes)], [3, number()], [4, partsShape])],
  [10, message([1, number()], [2, number()], [3, partsShape], [4, number()])],
)

const proofShape = message(
  [1, name],
  [2, bytes(128)],
  [3, name],
  [4, document],
  [5, bytes(64)],
  [6, number()],
  [7, bytes(64)],
)
export const requestShape = shape(
  [1, bytes(64)],
  [2, bytes(maxJsonBytes)],
  [3, proofShape],
  [4, number()],
  [5, message([1, number()], [2, number()])],
)
const refusalShape = message([1, number()], [2, bytes(64)], [3, bytes(2_048)], [4, number()])
export const answerShape = shape(
  [1, bytes(maxJsonBytes)],
  [2, refusalShape],
  [3, message([1, bytes(maxServerIdBytes)], [2, bytes(maxServerIdBytes, maxLinked)], [3, number()])],
)

/** Bytes of a media in one frame. */
export const maxMediaChunkBytes = 256 * 1024
const maxMediaTypeBytes = 128
export const mediaShape = shape(
  [1, message([1, name], [2, bytes(128)], [3, bytes(hashBytes)])],
  [2, message([1, number()], [2, bytes(maxMediaTypeBytes)])],
  [3, number()],
  [4, bytes(maxMediaChunkBytes)],
  [5, refusalShape],
)
