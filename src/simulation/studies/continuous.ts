import { type Distribution, drawUs } from '../distributions.ts'
import type { RandomStream } from '../random-streams.ts'
import type { World } from '../world.ts'
import { type Course, codecOf, hostOf, nodeOf, type Study, withLength } from './course.ts'
import type { Account, NodeBehaviour } from './protocol.ts'

/**
 * Drives a study in continuous time: each node is a process on a simulated host of its own, its messages travel through the
 * simulated network, its timers run by its host's clock.
 */
export function continuously<M, P>(course: Course<M, P>): { readonly unitUs: number } {
  const { study, world, tally, here } = course
  const { protocol, topology, time } = study
  const codec = codecOf(protocol)
  const unitMs = time.kind === 'continuous' && time.units === 'cycle' ? time.cycleMs : 1
  delayByKind(study, world)
  const startNode = (id: number): void => {
    const { messenger, clock, run } = world.host(hostOf(id)).boot()
    const now = () => clock.elapsed() / unitMs
    const dispatch = (to: number, bytes: Uint8Array, { kind = 'message', elements = 0 }: Account) => {
      tally.sent(id, to, kind, elements, bytes.length, now())
      messenger.send(hostOf(to), bytes, kind)
    }
    let behaviour: NodeBehaviour<M> = {}
    const node = here(id, {
      now,
      send(to, message, account = {}) {
        if (!topology.areNeighbours(id, to)) throw new RangeError(`Node ${to} is no neighbour of node ${id}.`)
        dispatch(to, codec.encode(message), account)
      },
      broadcast(message, { except, ...account } = {}) {
        const bytes = codec.encode(message)
        for (const to of node.neighbours) if (to !== except) dispatch(to, bytes, account)
      },
      after: (delay, name) => clock.after(delay * unitMs, () => behaviour.timer?.(name)),
    })
    behaviour = protocol.node(node)
    messenger.listen((from, bytes) => behaviour.message?.(nodeOf(from), codec.decode(bytes)))
    if (behaviour.start) world.scheduler.after(0, 'start', () => behaviour.start?.(), run)
  }
  for (let id = 0; id < topology.size; id++) startNode(id)
  return { unitUs: unitMs * 1000 }
}

/** Messages of some kinds have a latency of their own, drawn from a stream for each kind and direction. */
function delayByKind({ links = {}, topology }: Pick<Study, 'links' | 'topology'>, world: World): void {
  const { latencyByKind } = links
  if (!latencyByKind) return
  const latencies = new Map(Object.entries(latencyByKind))
  const ways = new Map<string, { readonly latency: Distribution; readonly stream: RandomStream }>()
  world.network.install(({ from, to, about }) => {
    const latency = latencies.get(about)
    if (!latency) return 'pass'
    const name = `${from} ${to} ${about}`
    let way = ways.get(name)
    if (!way) {
      const whole = withLength(topology.latencyMs(nodeOf(from), nodeOf(to)), latency) ?? latency
      way = { latency: whole, stream: world.random('net', from, to, about) }
      ways.set(name, way)
    }
    return { deliverAfterUs: drawUs(way.latency, way.stream) }
  })
}
