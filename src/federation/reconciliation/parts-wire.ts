import { MalformedFrame } from '../frame-shape.ts'
import type { Parts as WireParts } from '../wire_pb.ts'
import { placeBytes, presentBytes } from '../wire-shapes.ts'
import { countOf, faultOf, maxQueriedLists, maxQueriedNodes, type Part, saltedBytes } from './parts.ts'
import type { Place } from './place.ts'

/*
 * Parts as the columns of wire.proto, and back.
 */

const kinds = ['node', 'bucket', 'lacking'] as const

export function partsFields(parts: readonly Part[]) {
  const [nodes, buckets, lacking] = kinds.map(kind => parts.filter(part => part.kind === kind))
  const present = new Uint8Array((nodes?.length ?? 0) * presentBytes)
  const view = new DataView(present.buffer)
  for (const [index, part] of (nodes ?? []).entries()) {
    if (part.kind === 'node') view.setUint16(index * presentBytes, part.present)
  }
  return {
    nodes: placesOf(nodes),
    present,
    buckets: placesOf(buckets),
    bucketSizes: sizesOf(buckets),
    lacking: placesOf(lacking),
    lackingSizes: sizesOf(lacking),
    hashes: joinedOf([...(nodes ?? []), ...(buckets ?? []), ...(lacking ?? [])]),
  }
}

/** @throws {MalformedFrame} */
export function partsFrom(wire: WireParts | undefined): Part[] {
  if (!wire) return []
  const { nodes, present, buckets, bucketSizes, lacking, lackingSizes, hashes } = wire
  if (present.length !== (nodes.length / placeBytes) * presentBytes)
    throw new MalformedFrame('Each node has its children.')
  const view = new DataView(present.buffer, present.byteOffset, present.length)
  const reader = new HashReader(hashes)
  const parts: Part[] = [
    ...placesIn(nodes).map((place, index): Part => {
      const bits = view.getUint16(index * presentBytes)
      return { kind: 'node', place, present: bits, hashes: reader.take(countOf(bits)) }
    }),
    ...listsIn('bucket', buckets, bucketSizes, reader),
    ...listsIn('lacking', lacking, lackingSizes, reader),
  ]
  reader.end()
  for (const part of parts) {
    const fault = faultOf(part)
    if (fault) throw new MalformedFrame(`The parts of a tree cannot be so: ${fault}.`)
  }
  return parts
}

/** More than one query may ask. @throws {MalformedFrame} */
export function assertQueried(parts: readonly Part[]): void {
  const nodes = parts.filter(({ kind }) => kind === 'node').length
  const lacking = parts.filter(({ kind }) => kind === 'lacking').length
  const buckets = parts.length - nodes - lacking
  if (nodes > maxQueriedNodes || buckets > maxQueriedLists || lacking > maxQueriedLists) {
    throw new MalformedFrame(`A query asks about ${parts.length} places; it may about ${maxQueriedNodes} nodes.`)
  }
}

/** The hashes of all parts, taken one after another. */
class HashReader {
  readonly #hashes: Uint8Array
  #at = 0

  constructor(hashes: Uint8Array) {
    this.#hashes = hashes
  }

  take(count: number): Uint8Array {
    const end = this.#at + count * saltedBytes
    if (end > this.#hashes.length) throw new MalformedFrame('The parts of a tree have fewer hashes than they say.')
    const taken = this.#hashes.slice(this.#at, end)
    this.#at = end
    return taken
  }

  end(): void {
    if (this.#at !== this.#hashes.length)
      throw new MalformedFrame('The parts of a tree have more hashes than they say.')
  }
}

function listsIn(kind: 'bucket' | 'lacking', places: Uint8Array, sizes: readonly number[], reader: HashReader): Part[] {
  if (sizes.length !== places.length / placeBytes) throw new MalformedFrame('Each list of hashes has a place.')
  return placesIn(places).map((place, index) => ({ kind, place, hashes: reader.take(sizes[index] ?? 0) }))
}

function placesOf(parts: readonly Part[] | undefined): Uint8Array {
  const bytes = new Uint8Array((parts?.length ?? 0) * placeBytes)
  const view = new DataView(bytes.buffer)
  for (const [index, { place }] of (parts ?? []).entries()) {
    view.setUint8(index * placeBytes, place.depth)
    view.setUint32(index * placeBytes + 1, place.high)
    view.setUint32(index * placeBytes + 5, place.low)
  }
  return bytes
}

function placesIn(bytes: Uint8Array): Place[] {
  if (bytes.length % placeBytes !== 0) throw new MalformedFrame(`A place has ${placeBytes} bytes.`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Array.from({ length: bytes.length / placeBytes }, (_, index) => ({
    depth: view.getUint8(index * placeBytes),
    high: view.getUint32(index * placeBytes + 1),
    low: view.getUint32(index * placeBytes + 5),
  }))
}

const sizesOf = (parts: readonly Part[] | undefined): number[] =>
  (parts ?? []).map(({ hashes }) => hashes.length / saltedBytes)

function joinedOf(parts: readonly Part[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { hashes }) => sum + hashes.length, 0))
  let at = 0
  for (const { hashes } of parts) {
    all.set(hashes, at)
    at += hashes.length
  }
  return all
}
