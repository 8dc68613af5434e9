import type { Topology } from './topology.ts'

/** What was sent, counted when it was sent, whether or not it arrived. */
export interface Traffic {
  readonly messages: number
  readonly elements: number
  readonly bytes: number
}

interface Counts {
  messages: number
  elements: number
  bytes: number
}

/** A map of more links than this tells nobody anything, and takes longer to fill than the study. */
const maxLinksCounted = 10_000

/** The counts of one study: traffic by kind of message and by link, and what the nodes count and sample themselves. */
export class Tally {
  readonly kinds = new Map<string, Counts>()
  readonly counts = new Map<string, number>()
  readonly samples = new Map<string, number[]>()
  /** When the last message was sent, in the study's unit. */
  lastSent = 0
  readonly #links: Map<number, Counts> | undefined
  readonly #size: number

  constructor({ size, links }: Pick<Topology, 'size' | 'links'>) {
    this.#size = size
    if (links <= maxLinksCounted) this.#links = new Map()
  }

  sent(from: number, to: number, kind: string, elements: number, bytes: number, now: number): void {
    add(this.kinds, kind, elements, bytes)
    if (this.#links) add(this.#links, from * this.#size + to, elements, bytes)
    this.lastSent = now
  }

  count(name: string, by: number): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by)
  }

  sample(name: string, value: number): void {
    const values = this.samples.get(name)
    if (values) values.push(value)
    else this.samples.set(name, [value])
  }

  get total(): Traffic {
    const total: Counts = { messages: 0, elements: 0, bytes: 0 }
    for (const { messages, elements, bytes } of this.kinds.values()) {
      total.messages += messages
      total.elements += elements
      total.bytes += bytes
    }
    return total
  }

  /** The traffic of every direction of every link that carried something; nothing for topologies with very many links. */
  *links(): Generator<{ readonly from: number; readonly to: number } & Traffic> {
    for (const [link, counts] of this.#links ?? [])
      yield { from: Math.floor(link / this.#size), to: link % this.#size, ...counts }
  }
}

function add<K>(map: Map<K, Counts>, key: K, elements: number, bytes: number): void {
  const counts = map.get(key)
  if (!counts) {
    map.set(key, { messages: 1, elements, bytes })
    return
  }
  counts.messages += 1
  counts.elements += elements
  counts.bytes += bytes
}
