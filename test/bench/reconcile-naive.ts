import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'

/** Documents of one frame. */
const frameDocuments = 512

/**
 * What two y-protocol servers would do that hold many documents: one says the state vector of each, the other compares, and names
 * those that differ. State vectors are as `Y.encodeStateVector` writes them for a document with one log. Returns the bytes of all
 * frames, and what both sides took by the meter; what they hold in memory for it is not counted.
 */
export function naiveExchange(
  documents: readonly string[],
  changed: number,
  meter: () => number,
): { readonly bytes: number; readonly cost: number } {
  const mine = new Map(documents.map((document, at) => [document, stateVector(at, 7)]))
  const theirs = new Map(documents.map((document, at) => [document, stateVector(at, at < 2 * changed ? 8 : 7)]))
  const before = meter()
  let bytes = 0
  let differing = 0
  for (let from = 0; from < documents.length; from += frameDocuments) {
    const frame = framed(documents.slice(from, from + frameDocuments), mine)
    const named = differingIn(frame, theirs)
    const answer = encoding.encode(encoder => {
      for (const document of named) encoding.writeVarString(encoder, document)
    })
    bytes += frame.length + answer.length
    differing += named.length
  }
  if (differing !== 2 * changed) throw new Error(`The naive exchange found ${differing} documents.`)
  return { bytes, cost: meter() - before }
}

function stateVector(client: number, clock: number): Uint8Array {
  return encoding.encode(encoder => {
    encoding.writeVarUint(encoder, 1)
    encoding.writeVarUint(encoder, 2 ** 51 + client)
    encoding.writeVarUint(encoder, clock)
  })
}

function framed(documents: readonly string[], held: ReadonlyMap<string, Uint8Array>): Uint8Array {
  return encoding.encode(encoder => {
    encoding.writeVarUint(encoder, documents.length)
    for (const document of documents) {
      encoding.writeVarString(encoder, document)
      encoding.writeVarUint8Array(encoder, held.get(document) ?? new Uint8Array())
    }
  })
}

function differingIn(frame: Uint8Array, held: ReadonlyMap<string, Uint8Array>): string[] {
  const decoder = decoding.createDecoder(frame)
  const differing: string[] = []
  for (let left = decoding.readVarUint(decoder); left > 0; left--) {
    const document = decoding.readVarString(decoder)
    const theirs = decoding.readVarUint8Array(decoder)
    const mine = held.get(document)
    if (mine?.length !== theirs.length || theirs.some((byte, at) => byte !== mine[at])) differing.push(document)
  }
  return differing
}
