import { applyUpdate, Doc } from 'yjs'
import { rng } from '../../src/simulation/random-streams.ts'
import { planRuns } from '../../src/simulation/scenario/read-scenario.ts'
import { runScenario } from '../../src/simulation/scenario/run.ts'
import { defineProtocol } from '../../src/simulation/studies/protocol.ts'
import { runStudy } from '../../src/simulation/studies/study.ts'
import { kRegular } from '../../src/simulation/studies/topology.ts'
import { World } from '../../src/simulation/world.ts'
import { production } from '../simulation/production.ts'
import { type Bench, type Figure, figureOf } from './bench.ts'

/*
 * How much the simulator gets done in a second of the one thread that it runs on, by that thread's own processor time, garbage
 * collection and all: first the scheduler by itself; then a flood over nodes that are a Yjs document and nothing else, the work of
 * a prototype that took 8.1 s for it; then the production server.
 */

const rounds = 5
/** Of the prototype: 348,560 messages. A node of degree 10 passes on what is new to it, so 80 × (2 × 2,500 − 499) are sent. */
const flood = { nodes: 500, degree: 10, writes: 80 }
const timers = { nodes: 500, ticks: 1_000 }

interface Rate {
  readonly events: number
  readonly cpuSeconds: number
}

export const simulatorBench: Bench = {
  name: 'simulator',
  summary: 'events a second: the scheduler alone, 500 nodes that are a Yjs document each, and production servers',
  async run(progress, { isQuick }) {
    const count = isQuick ? 1 : rounds
    const told: Figure[] = []
    for (const { name, work, atLeast } of works(isQuick)) {
      const rates: number[] = []
      for (let round = 0; round < count; round++) {
        const { events, cpuSeconds } = await timed(work)
        rates.push(events / cpuSeconds)
        progress(`${name}: ${events} events in ${cpuSeconds.toFixed(2)} s of processor`)
      }
      told.push(figureOf(name, rates, 'events/s', atLeast === undefined ? {} : { atLeast }))
    }
    return told
  },
}

interface Work {
  readonly name: string
  readonly atLeast?: number
  /** Answers how many events have happened. */
  work(): Promise<number>
}

const works = (isQuick: boolean): readonly Work[] => [
  { name: 'the scheduler alone, timers of 500 nodes', work: ticking },
  { name: '500 Yjs nodes, 80 writes flooded', work: flooded, atLeast: 40_000 },
  { name: 'production servers of one operator that write', work: () => scenario(serversThatWrite(isQuick ? 10 : 100)) },
  { name: 'production servers of nine operators, at rest', work: () => scenario(serversAtRest(isQuick ? 60 : 1_200)) },
]

async function timed(work: () => Promise<number>): Promise<Rate> {
  const before = process.threadCpuUsage()
  const events = await work()
  const { user, system } = process.threadCpuUsage(before)
  return { events, cpuSeconds: (user + system) / 1e6 }
}

async function ticking(): Promise<number> {
  const world = new World({ seed: 1, production })
  for (let node = 0; node < timers.nodes; node++) {
    let left = timers.ticks
    const tick = () => {
      if (--left > 0) world.scheduler.after(1_000 + node, 'tick', tick)
    }
    world.scheduler.after(node, 'tick', tick)
  }
  await world.run({})
  return world.scheduler.events
}

interface Written {
  readonly by: number
  readonly update: Uint8Array
}

/** The writer's number before the update. */
const written = {
  encode: ({ by, update }: Written): Uint8Array => {
    const bytes = new Uint8Array(2 + update.length)
    bytes[0] = by >>> 8
    bytes[1] = by
    bytes.set(update, 2)
    return bytes
  },
  decode: (bytes: Uint8Array): Written => ({ by: ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0), update: bytes.subarray(2) }),
}

/**
 * What is new to a node it takes into its document, and sends on to all neighbours but the one that it has it from. As with the
 * entries of our documents, what says whose it is and which tells it before Yjs has read anything.
 */
const flooding = defineProtocol<Written, unknown>({
  name: 'flooding',
  codec: written,
  node(here) {
    const doc = new Doc({ guid: 'flood' })
    doc.clientID = here.id + 1
    const known = new Set<number>()
    doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin === null) here.broadcast({ by: here.id, update }, { elements: 1 })
    })
    return {
      start() {
        if (here.id < flood.writes) here.after(here.random.fraction() * 10_000, 'write')
      },
      timer() {
        known.add(here.id)
        doc.getMap<number>('flood').set(String(here.id), here.now)
      },
      message(from, message) {
        if (known.has(message.by)) return
        known.add(message.by)
        applyUpdate(doc, message.update, from)
        here.broadcast(message, { elements: 1, except: from })
        here.count('taken in')
      },
    }
  },
})

async function flooded(): Promise<number> {
  const topology = kRegular(flood.nodes, flood.degree, rng(1, 'topology'))
  let events = () => 0
  const { tally } = await runStudy(
    { protocol: flooding, topology, time: { kind: 'continuous', units: 'ms' } },
    {
      seed: 1,
      production,
      prepare: ({ scheduler }) => {
        events = () => scheduler.events
      },
    },
  )
  const wanted = flood.writes * (flood.nodes * flood.degree - (flood.nodes - 1))
  if (tally.total.messages !== wanted) throw new Error(`${tally.total.messages} messages were sent, not ${wanted}.`)
  const taken = tally.counts.get('taken in')
  if (taken !== flood.writes * (flood.nodes - 1)) throw new Error(`Only ${taken} updates were taken in.`)
  return events()
}

async function scenario(description: object): Promise<number> {
  const [run] = planRuns(JSON.stringify(description), 'bench.json', { seeds: [1] })
  if (!run) throw new Error('There is no run.')
  const { outcome, events } = await runScenario(run.scenario, run.seed, { production })
  if (outcome.verdict !== true) throw new Error(`The run was not well: ${outcome.what}`)
  return events
}

/** As `examples/simulation/bare.yaml`, with fewer servers. */
const serversThatWrite = (servers: number) => ({
  name: 'writes',
  run: { warmup: '5s', duration: '5s' },
  operators: { count: 1, servers },
  topology: { within: { type: 'tree', branching: 8 } },
  networks: { count: 0 },
  documents: { count: 10, writers: 1, keys: 100, bytes: 24 },
  workload: [{ operation: 'write', rate: 200 }],
  liveness: { within: '60s' },
})

/** What goes on while nobody does anything: heartbeats, load reports, timers. */
const serversAtRest = (seconds: number) => ({
  name: 'rest',
  run: { warmup: '30s', duration: `${seconds}s` },
  operators: { count: 9, servers: 1 },
  networks: { count: 9, grantees: 1 },
  workload: [],
  liveness: { within: '60s' },
})
