import { z } from 'zod'
import { defineProtocol, type NodeBehaviour, type StudyNode } from '../protocol.ts'

/*
 * A grow-only set, kept in step by each of the algorithms that Enes et al. compare (ICDE 2019), as their implementation
 * runs them (vitorenesduarte/ldb): every node adds elements at an interval, and synchronises with its neighbours at another;
 * both begin at a time of the node's own. Two seconds after its last element, and every two seconds from then on, a node
 * looks whether it has them all; the study ends when all nodes have seen that they do. Elements are counted as they are sent.
 */

export const algorithms = ['state', 'delta', 'delta-bp', 'delta-rr', 'delta-bp-rr', 'scuttlebutt'] as const
export type Algorithm = (typeof algorithms)[number]

/** What every node does, whatever spreads it. */
export const workload = z.strictObject({
  /** Elements that each node adds. */
  eventsPerNode: z.int().positive(),
  eventIntervalMs: z.number().positive(),
  syncIntervalMs: z.number().positive(),
})
export type Workload = z.infer<typeof workload>

/** How often a node looks whether it is done: `SIMULATION_END_INTERVAL` in vitorenesduarte/exp. */
const checkIntervalMs = 2_000

export type SetMessage =
  | { readonly says: 'elements'; readonly elements: readonly number[]; readonly seq: number }
  | { readonly says: 'received'; readonly seq: number }
  | { readonly says: 'have'; readonly lengths: readonly number[] }

/** What an algorithm does; adding elements and keeping time are the same for all. */
interface Synchroniser {
  added(element: number): void
  /** Time to synchronise. */
  sync(): void
  message(from: number, message: SetMessage): void
}

type Here = StudyNode<SetMessage, Workload & { readonly algorithm: Algorithm }>

export default defineProtocol({
  name: 'growing-set',
  parameters: workload.extend({ algorithm: z.enum(algorithms) }),
  node: (here: Here): NodeBehaviour<SetMessage> =>
    workingNode(here, set => synchroniser(here.parameters.algorithm, here, set)),
})

/** A node that adds elements, and leaves it to a synchroniser to spread them. */
export function workingNode<M>(
  here: StudyNode<M, Workload>,
  make: (set: Set<number>) => { added(element: number): void; sync?(): void; message(from: number, message: M): void },
): NodeBehaviour<M> {
  const { eventsPerNode, eventIntervalMs, syncIntervalMs } = here.parameters
  const set = new Set<number>()
  const synchroniser = make(set)
  let added = 0
  const add = () => {
    const element = here.id * eventsPerNode + added
    added += 1
    set.add(element)
    synchroniser.added(element)
    if (added < eventsPerNode) here.after(eventIntervalMs, 'add')
    else here.after(checkIntervalMs, 'check')
  }
  const check = () => {
    if (set.size === here.size * eventsPerNode) here.finish()
    else here.after(checkIntervalMs, 'check')
  }
  const sync = () => {
    synchroniser.sync?.()
    here.after(syncIntervalMs, 'sync')
  }
  return {
    start() {
      here.after(here.random.fraction() * eventIntervalMs, 'add')
      if (synchroniser.sync) here.after(here.random.fraction() * syncIntervalMs, 'sync')
    },
    timer(name) {
      if (name === 'add') add()
      else if (name === 'check') check()
      else sync()
    },
    message: (from, message) => synchroniser.message(from, message),
  }
}

function synchroniser(algorithm: Algorithm, here: Here, set: Set<number>): Synchroniser {
  switch (algorithm) {
    case 'state':
      return wholeState(here, set)
    case 'delta':
      return deltas(here, set, {})
    case 'delta-bp':
      return deltas(here, set, { avoidsBackPropagation: true })
    case 'delta-rr':
      return deltas(here, set, { removesRedundancy: true })
    case 'delta-bp-rr':
      return deltas(here, set, { avoidsBackPropagation: true, removesRedundancy: true })
    case 'scuttlebutt':
      return scuttlebutt(here, set)
  }
}

/** Everything to everybody. */
function wholeState(here: Here, set: Set<number>): Synchroniser {
  return {
    added: () => {},
    sync: () => here.broadcast({ says: 'elements', elements: [...set], seq: 0 }, { elements: set.size, kind: 'state' }),
    message(_from, message) {
      if (message.says === 'elements') for (const element of message.elements) set.add(element)
    },
  }
}

interface DeltaOptions {
  /** BP: what came from a neighbour is not sent back to it. */
  readonly avoidsBackPropagation?: boolean
  /** RR: of what is received only the part that is new is kept for sending. */
  readonly removesRedundancy?: boolean
}

/** A buffer of what was added or received, each piece sent to each neighbour until it has acknowledged it. */
function deltas(here: Here, set: Set<number>, options: DeltaOptions): Synchroniser {
  const { avoidsBackPropagation = false, removesRedundancy = false } = options
  let buffer: { readonly seq: number; readonly from: number; readonly elements: readonly number[] }[] = []
  let nextSeq = 0
  const acknowledged = new Map<number, number>(here.neighbours.map(neighbour => [neighbour, 0]))
  const keep = (from: number, elements: readonly number[]) => buffer.push({ seq: nextSeq++, from, elements })
  const groupFor = (to: number): Set<number> => {
    const group = new Set<number>()
    for (const { seq, from, elements } of buffer) {
      if (seq < (acknowledged.get(to) ?? 0) || (avoidsBackPropagation && from === to)) continue
      for (const element of elements) group.add(element)
    }
    return group
  }
  return {
    added: element => keep(here.id, [element]),
    sync() {
      for (const to of here.neighbours) {
        const group = groupFor(to)
        if (group.size === 0) continue
        here.send(to, { says: 'elements', elements: [...group], seq: nextSeq }, { elements: group.size, kind: 'delta' })
      }
    },
    message(from, message) {
      if (message.says === 'received') {
        acknowledged.set(from, Math.max(acknowledged.get(from) ?? 0, message.seq))
        const byAll = Math.min(...acknowledged.values())
        buffer = buffer.filter(({ seq }) => seq >= byAll)
      } else if (message.says === 'elements') {
        const fresh = message.elements.filter(element => !set.has(element))
        for (const element of fresh) set.add(element)
        if (fresh.length > 0) keep(from, removesRedundancy ? fresh : message.elements)
        here.send(from, { says: 'received', seq: message.seq }, { kind: 'received' })
      }
    },
  }
}

/** Van Renesse et al. 2008: says what it has, and is sent what it lacks. Elements of one origin arrive in their order. */
function scuttlebutt(here: Here, set: Set<number>): Synchroniser {
  const { eventsPerNode } = here.parameters
  const lengths = new Array<number>(here.size).fill(0)
  const note = (element: number) => {
    const origin = Math.floor(element / eventsPerNode)
    lengths[origin] = Math.max(lengths[origin] ?? 0, (element % eventsPerNode) + 1)
  }
  const beyond = (theirs: readonly number[]): number[] =>
    lengths.flatMap((length, origin) => {
      const from = theirs[origin] ?? 0
      return Array.from({ length: Math.max(0, length - from) }, (_, index) => origin * eventsPerNode + from + index)
    })
  return {
    added: note,
    sync: () => here.broadcast({ says: 'have', lengths }, { kind: 'digest' }),
    message(from, message) {
      if (message.says === 'have') {
        const elements = beyond(message.lengths)
        if (elements.length === 0) return
        here.send(from, { says: 'elements', elements, seq: 0 }, { elements: elements.length, kind: 'delta' })
      } else if (message.says === 'elements') {
        for (const element of message.elements) {
          set.add(element)
          note(element)
        }
      }
    },
  }
}
