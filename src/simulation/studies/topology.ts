import type { RandomStream } from '../random-streams.ts'

/** Who may talk to whom. Nodes are numbered from 0; links have two directions. */
export interface Topology {
  readonly size: number
  /** Links, each counted once. */
  readonly links: number
  degree(node: number): number
  /** The neighbour with this number, from 0 to below the degree. */
  neighbour(node: number, index: number): number
  areNeighbours(a: number, b: number): boolean
  /** How long the way takes, one way, for links that have a length of their own; it is added to whatever else delays. */
  latencyMs(from: number, to: number): number | undefined
}

/** A link between two nodes, with its length if it has one. */
export type Edge = readonly [a: number, b: number, latencyMs?: number]

/** @throws {RangeError} for a link from a node to itself, or to none. Links that are named twice count once. */
export function fromEdges(edges: Iterable<Edge>, size?: number): Topology {
  const lengths = new Map<number, Map<number, number | undefined>>()
  const put = (from: number, to: number, latencyMs: number | undefined) => {
    const known = lengths.get(from)
    if (known) known.set(to, latencyMs)
    else lengths.set(from, new Map([[to, latencyMs]]))
  }
  let largest = -1
  for (const [a, b, latencyMs] of edges) {
    if (a === b) throw new RangeError(`Node ${a} is linked to itself.`)
    for (const node of [a, b]) if (!Number.isSafeInteger(node) || node < 0) throw new RangeError(`${node} is no node.`)
    put(a, b, latencyMs)
    put(b, a, latencyMs)
    largest = Math.max(largest, a, b)
  }
  const nodes = size ?? largest + 1
  if (largest >= nodes) throw new RangeError(`A link names node ${largest}, but there are ${nodes}, from 0.`)
  const neighbours = Array.from({ length: nodes }, (_, node) => [...(lengths.get(node)?.keys() ?? [])])
  return {
    size: nodes,
    links: neighbours.reduce((sum, { length }) => sum + length, 0) / 2,
    degree: node => neighbours[node]?.length ?? 0,
    neighbour: (node, index) => neighbours[node]?.[index] as number,
    areNeighbours: (a, b) => lengths.get(a)?.has(b) ?? false,
    latencyMs: (from, to) => lengths.get(from)?.get(to),
  }
}

/** Its links, each once. */
export function edgesOf(topology: Topology): Edge[] {
  const edges: Edge[] = []
  for (let from = 0; from < topology.size; from++) {
    for (let index = 0; index < topology.degree(from); index++) {
      const to = topology.neighbour(from, index)
      const latencyMs = topology.latencyMs(from, to)
      if (from < to) edges.push(latencyMs === undefined ? [from, to] : [from, to, latencyMs])
    }
  }
  return edges
}

/** Whether there is a way from each node to each. */
export function isConnected(topology: Topology): boolean {
  const reached = new Set([0])
  for (const node of reached) {
    for (let index = 0; index < topology.degree(node); index++) reached.add(topology.neighbour(node, index))
  }
  return reached.size >= topology.size
}

/** Everybody to everybody, without a list of n² links. */
export const full = (size: number): Topology => ({
  size,
  links: (size * (size - 1)) / 2,
  degree: () => size - 1,
  neighbour: (node, index) => (index < node ? index : index + 1),
  areNeighbours: (a, b) => a !== b && a >= 0 && b >= 0 && a < size && b < size,
  latencyMs: () => undefined,
})

export const line = (size: number): Topology => fromEdges(lineEdges(size), size)

export const ring = (size: number): Topology =>
  fromEdges(size > 2 ? [...lineEdges(size), [size - 1, 0]] : lineEdges(size), size)

/** Rows of nodes, numbered along the rows; as a torus, the ends of rows and columns meet. */
export function grid(width: number, height: number, torus = false): Topology {
  const edges: Edge[] = []
  const at = (x: number, y: number) => (y % height) * width + (x % width)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (x + 1 < width || (torus && width > 2)) edges.push([at(x, y), at(x + 1, y)])
      if (y + 1 < height || (torus && height > 2)) edges.push([at(x, y), at(x, y + 1)])
    }
  }
  return fromEdges(edges, width * height)
}

/** Node 0 is the root; level by level. */
export const tree = (size: number, branching: number): Topology =>
  fromEdges(
    Array.from({ length: Math.max(0, size - 1) }, (_, above): Edge => [Math.floor(above / branching), above + 1]),
    size,
  )

/** How often a random graph is drawn anew before it is given up. */
const maxDraws = 1_000

/**
 * Each node with `degree` others, drawn by pairing stubs and swapping pairs that would be loops or doubles away.
 * @throws {RangeError} when there is no such graph
 */
export function kRegular(size: number, degree: number, random: RandomStream): Topology {
  if (degree >= size || (size * degree) % 2 === 1) {
    throw new RangeError(`${size} nodes cannot have ${degree} neighbours each: take fewer, and size × degree even.`)
  }
  for (let draw = 0; draw < maxDraws; draw++) {
    const edges = pairs(random.shuffled(Array.from({ length: size * degree }, (_, stub) => stub % size)), random)
    if (edges) return fromEdges(edges, size)
  }
  throw new RangeError(`No ${degree}-regular graph of ${size} nodes was found: take another seed or degree.`)
}

/** Watts and Strogatz 1998: a ring lattice of even degree, each link rewired with this probability at one end. */
export function smallWorld(size: number, degree: number, rewire: number, random: RandomStream): Topology {
  if (degree % 2 === 1 || degree >= size) throw new RangeError('A ring lattice has an even degree below its size.')
  const taken = new Set<string>()
  const lattice: Edge[] = []
  for (let node = 0; node < size; node++) {
    for (let far = 1; far <= degree / 2; far++) lattice.push([node, (node + far) % size])
  }
  for (const edge of lattice) taken.add(nameOf(edge))
  const edges = lattice.map((edge): Edge => {
    if (!random.chance(rewire)) return edge
    const [from] = edge
    const free = Array.from({ length: size }, (_, to) => to).filter(to => to !== from && !taken.has(nameOf([from, to])))
    if (free.length === 0) return edge
    const rewired: Edge = [from, random.pick(free)]
    taken.delete(nameOf(edge))
    taken.add(nameOf(rewired))
    return rewired
  })
  return fromEdges(edges, size)
}

/** Barabási and Albert 1999: each new node links to `links` earlier ones, by their degree. Begins with links + 1 nodes, all linked. */
export function preferential(size: number, links: number, random: RandomStream): Topology {
  if (links < 1 || links >= size)
    throw new RangeError('A new node links to at least one earlier node, and fewer than all.')
  const edges: Edge[] = []
  // Each node stands here once for each of its links.
  const stubs: number[] = []
  const link = (a: number, b: number) => {
    edges.push([a, b])
    stubs.push(a, b)
  }
  for (let node = 1; node <= links; node++) for (let earlier = 0; earlier < node; earlier++) link(node, earlier)
  for (let node = links + 1; node < size; node++) {
    const chosen = new Set<number>()
    while (chosen.size < links) chosen.add(random.pick(stubs))
    for (const earlier of chosen) link(node, earlier)
  }
  return fromEdges(edges, size)
}

const lineEdges = (size: number): Edge[] =>
  Array.from({ length: Math.max(0, size - 1) }, (_, node): Edge => [node, node + 1])

const nameOf = ([a, b]: Edge): string => (a < b ? `${a} ${b}` : `${b} ${a}`)

/** Pairs neighbouring stubs; a pair that cannot be swaps its second stub with a later or earlier one, for a while. */
function pairs(stubs: number[], random: RandomStream): Edge[] | undefined {
  const taken = new Set<string>()
  const edges: Edge[] = []
  for (let at = 0; at < stubs.length; at += 2) {
    const a = stubs[at] as number
    let tries = 0
    while (a === stubs[at + 1] || taken.has(nameOf([a, stubs[at + 1] as number]))) {
      const rest = stubs.length - at - 2
      if (rest <= 0 || ++tries > 100) return undefined
      const other = at + 2 + random.below(rest)
      const swapped = stubs[other] as number
      stubs[other] = stubs[at + 1] as number
      stubs[at + 1] = swapped
    }
    const edge: Edge = [a, stubs[at + 1] as number]
    taken.add(nameOf(edge))
    edges.push(edge)
  }
  return edges
}
