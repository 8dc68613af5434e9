import { type Edge, fromEdges, type Topology } from './topology.ts'

/** A text that is no graph in GML; the message says where. */
export class MalformedGml extends Error {
  override readonly name = 'MalformedGml'
}

type GmlValue = number | string | GmlList
type GmlList = readonly (readonly [key: string, value: GmlValue])[]

/**
 * Reads a graph in GML (Himsolt 1997), as Shadow and the Internet Topology Zoo write it. Nodes are numbered in the order
 * in which they stand; an edge's `latency` ("10 ms", "1 s", "500 us"; a bare number is milliseconds) becomes its length.
 * Edges from a node to itself, by which Shadow says how far it is within a node, are left out.
 * @throws {MalformedGml}
 */
export function readGml(text: string): Topology {
  const graph = listAt(new GmlReader(text).list(), 'graph')
  if (!graph) throw new MalformedGml('There is no `graph [ … ]`.')
  const numbers = new Map<number, number>()
  for (const node of listsAt(graph, 'node')) numbers.set(numberAt(node, 'id'), numbers.size)
  const numberOf = (id: number): number => {
    const number = numbers.get(id)
    if (number === undefined) throw new MalformedGml(`An edge names node ${id}, which is not there.`)
    return number
  }
  const edges = listsAt(graph, 'edge').map((edge): Edge => {
    const latency = valueAt(edge, 'latency')
    const ends = [numberOf(numberAt(edge, 'source')), numberOf(numberAt(edge, 'target'))] as const
    return latency === undefined ? ends : [...ends, latencyMs(latency)]
  })
  return fromEdges(
    edges.filter(([a, b]) => a !== b),
    numbers.size,
  )
}

const msPerUnit: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1e3, '': 1 }

function latencyMs(latency: GmlValue): number {
  const match = /^([\d.]+) *([a-zµ]*)$/.exec(String(latency))
  const factor = msPerUnit[match?.[2] ?? 'none']
  if (!match || factor === undefined) throw new MalformedGml(`"${String(latency)}" is no latency, such as "10 ms".`)
  return Number(match[1]) * factor
}

const valueAt = (list: GmlList, key: string): GmlValue | undefined => list.find(([name]) => name === key)?.[1]
const isList = (value: GmlValue | undefined): value is GmlList => Array.isArray(value)

function listAt(list: GmlList, key: string): GmlList | undefined {
  const value = valueAt(list, key)
  return isList(value) ? value : undefined
}

const listsAt = (list: GmlList, key: string): GmlList[] =>
  list.flatMap(([name, value]) => (name === key && isList(value) ? [value] : []))

function numberAt(list: GmlList, key: string): number {
  const value = valueAt(list, key)
  if (typeof value !== 'number') throw new MalformedGml(`A node or an edge has no number "${key}".`)
  return value
}

/** Deeper nesting than this is no graph that somebody drew. */
const maxDepth = 32

class GmlReader {
  readonly #tokens: readonly string[]
  #at = 0

  constructor(text: string) {
    this.#tokens = text.replace(/^\s*#.*$/gm, '').match(/"[^"]*"|\[|\]|[^\s[\]"]+/g) ?? []
  }

  /** Keys and values up to the end of the list, or of the text. */
  list(depth = 0): GmlList {
    if (depth > maxDepth) throw new MalformedGml(`Lists nest deeper than ${maxDepth}.`)
    const list: (readonly [string, GmlValue])[] = []
    for (;;) {
      const key = this.#tokens[this.#at++]
      if (key === undefined && depth === 0) return list
      if (key === ']' && depth > 0) return list
      if (key === undefined || !/^[A-Za-z]\w*$/.test(key)) {
        throw new MalformedGml(`"${key ?? 'the end'}" stands where a key was expected.`)
      }
      list.push([key, this.#value(key, depth)])
    }
  }

  #value(key: string, depth: number): GmlValue {
    const token = this.#tokens[this.#at++]
    if (token === undefined || token === ']') throw new MalformedGml(`"${key}" has no value.`)
    if (token === '[') return this.list(depth + 1)
    if (token.startsWith('"')) return token.slice(1, -1)
    const number = Number(token)
    if (Number.isNaN(number)) throw new MalformedGml(`"${token}" is no value of "${key}".`)
    return number
  }
}
