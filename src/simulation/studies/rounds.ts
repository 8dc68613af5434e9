import { type Course, codecOf, hostOf } from './course.ts'
import type { Account, NodeBehaviour } from './protocol.ts'

interface Letter<M> {
  readonly from: number
  readonly to: number
  readonly message: M
}

interface Alarm {
  readonly node: number
  readonly name: string
  isCancelled: boolean
}

/** Virtual time between two rounds. */
const roundUs = 1_000_000

/**
 * Drives a study in rounds, each of which is one event: first the timers of all nodes that are due, in the order of their
 * setting; then what was sent arrives in the order of sending, answers included, until nothing is under way. So a round costs
 * a loop, not a heap; thousands of runs of a thousand nodes are a matter of seconds.
 */
export function inRounds<M, P>(course: Course<M, P>): { readonly unitUs: number } {
  const { study, world, tally, here } = course
  const { protocol, topology, links = {} } = study
  const { scheduler, network } = world
  const encode = copier(codecOf(protocol))
  const accidents = world.random('study', 'loss')
  const { loss = 0 } = links
  const behaviours: NodeBehaviour<M>[] = []
  const due = new Map<number, Alarm[]>()
  let letters: Letter<M>[] = []
  let round = 0
  let delivered = 0

  const dispatch = (from: number, to: number, message: M, { kind = 'message', elements = 0 }: Account) => {
    const copy = encode(message)
    tally.sent(from, to, kind, elements, copy.bytes, round)
    if (loss > 0 && accidents.chance(loss)) return
    letters.push({ from, to, message: copy.message })
  }

  function turn(): void {
    round = Math.round(scheduler.nowUs / roundUs)
    const alarms = due.get(round) ?? []
    due.delete(round)
    for (const { node, name, isCancelled } of alarms) if (!isCancelled) behaviours[node]?.timer?.(name)
    deliver()
    scheduler.trace.note('round', protocol.name, '', delivered, tally.total.messages)
    plan()
  }

  function deliver(): void {
    // The list grows while it is read.
    for (let at = 0; at < letters.length; at++) {
      const { from, to, message } = letters[at] as Letter<M>
      if (network.isCut(hostOf(from), hostOf(to))) continue
      delivered += 1
      behaviours[to]?.message?.(from, message)
    }
    letters = []
  }

  /** The next round at which anybody has something to do. */
  function plan(): void {
    if (due.size > 0) scheduler.at(Math.min(...due.keys()) * roundUs, 'round', turn)
  }

  function after(node: number, delay: number, name: string): () => void {
    if (!Number.isSafeInteger(delay) || delay < 1) throw new RangeError(`A delay of ${delay} is no number of rounds.`)
    const alarm: Alarm = { node, name, isCancelled: false }
    const alarms = due.get(round + delay)
    if (alarms) alarms.push(alarm)
    else due.set(round + delay, [alarm])
    return () => {
      alarm.isCancelled = true
    }
  }

  for (let id = 0; id < topology.size; id++) {
    const node = here(id, {
      now: () => round,
      send(to, message, account = {}) {
        if (!topology.areNeighbours(id, to)) throw new RangeError(`Node ${to} is no neighbour of node ${id}.`)
        dispatch(id, to, message, account)
      },
      broadcast(message, { except, ...account } = {}) {
        for (const to of node.neighbours) if (to !== except) dispatch(id, to, message, account)
      },
      after: (delay, name) => after(id, delay, name),
    })
    behaviours.push(protocol.node(node))
  }
  scheduler.at(0, 'round', () => {
    for (const behaviour of behaviours) behaviour.start?.()
    turn()
  })
  return { unitUs: roundUs }
}

/** Messages that are no objects are their own copies; others go through bytes. */
function copier<M>(codec: { encode(message: M): Uint8Array; decode(bytes: Uint8Array): M }) {
  return (message: M): { readonly message: M; readonly bytes: number } => {
    if (typeof message === 'string' || typeof message === 'number') return { message, bytes: String(message).length }
    if (typeof message === 'boolean') return { message, bytes: 1 }
    const bytes = codec.encode(message)
    return { message: codec.decode(bytes), bytes: bytes.length }
  }
}
