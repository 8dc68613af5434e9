import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Study } from '../../../src/simulation/studies/course.ts'
import { defineProtocol, type Protocol } from '../../../src/simulation/studies/protocol.ts'
import { runStudy, StudyFailed } from '../../../src/simulation/studies/study.ts'
import { fromEdges, full, line, ring } from '../../../src/simulation/studies/topology.ts'
import { production } from '../production.ts'

/*
 * A study counts every message once, by kind and by link, lets it take exactly as long as its way does, and is the same for
 * the same seed. What a node may not do ends it: to talk past its neighbours, to draw from the real world, to throw.
 */

const continuous = { kind: 'continuous', units: 'ms' } as const
const rounds = { kind: 'rounds' } as const
const fixed = { mode: 'stream', latency: { dist: 'const', ms: 0 } } as const

/** Node 0 tells; who hears it for the first time tells the others. */
const flood: Protocol<string> = defineProtocol({
  name: 'flood',
  node(here) {
    let hops: number | undefined
    return {
      start: () => {
        if (here.id !== 0) return
        hops = 0
        here.broadcast('0', { elements: 2, kind: 'flood' })
      },
      message(from, text) {
        if (hops !== undefined) return
        hops = Number(text) + 1
        here.sample('heardAt', here.now)
        here.broadcast(String(hops), { elements: 2, kind: 'flood', except: from })
      },
    }
  },
})

const run = <M, P>(study: Study<M, P>, seed: number | string = 1) => runStudy(study, { seed, production })

for (const time of [continuous, rounds]) {
  test(`messages and elements are counted as sent (${time.kind})`, async () => {
    const { tally, ending } = await run({ protocol: flood, topology: ring(6), time, links: fixed })
    assert.is(ending, 'idle')
    // 2 × links − (nodes − 1)
    assert.is(tally.total.messages, 7)
    assert.is(tally.total.elements, 14)
    assert.is(tally.kinds.get('flood')?.messages, 7)
    const links = [...tally.links()]
    assert.is(
      links.reduce((sum, { elements }) => sum + elements, 0),
      14,
    )
    assert.ok(links.some(({ from, to }) => from === 0 && to === 5))
    assert.ok(tally.total.bytes >= 7)
  })
}

test('each hop takes as long as its link, and what it draws on top', async () => {
  const topology = fromEdges([
    [0, 1, 5],
    [1, 2, 20],
    [2, 3, 0.25],
  ])
  const latency = { dist: 'const', ms: 1 } as const
  const plain = await run({ protocol: flood, topology, time: continuous, links: { mode: 'stream', latency } })
  assert.equal(plain.tally.samples.get('heardAt'), [6, 27, 28.25])
  const byKind = await run({
    protocol: flood,
    topology,
    time: continuous,
    links: { latency, latencyByKind: { flood: { dist: 'const', ms: 10 } } },
  })
  assert.equal(byKind.tally.samples.get('heardAt'), [15, 45, 55.25])
  const cycles = await run({
    protocol: flood,
    topology,
    time: { kind: 'continuous', units: 'cycle', cycleMs: 10 },
    links: { mode: 'stream', latency, overrides: [{ from: 0, to: 1, latency: { dist: 'const', ms: 15 } }] },
  })
  assert.equal(cycles.tally.samples.get('heardAt'), [2, 4.1, 4.225])
  assert.is(cycles.end, 4.225)
})

test('in rounds, all that follows from a timer happens in its round, and delays are whole rounds', async () => {
  const told: unknown[] = []
  const questions = defineProtocol({
    name: 'questions',
    node: here => ({
      start: () => void here.after(2, 'ask'),
      timer(name: string) {
        told.push([here.now, here.id, name])
        if (here.id === 0) here.send(1, { hops: 3 })
      },
      message(from: number, { hops }: { readonly hops: number }) {
        told.push([here.now, here.id, hops])
        if (hops > 1) here.send(from, { hops: hops - 1 })
      },
    }),
  })
  const { end } = await run({ protocol: questions, topology: line(2), time: rounds })
  assert.equal(told, [
    [2, 0, 'ask'],
    [2, 1, 'ask'],
    [2, 1, 3],
    [2, 0, 2],
    [2, 1, 1],
  ])
  assert.is(end, 2)
  const impatient = defineProtocol({ name: 'impatient', node: here => ({ start: () => void here.after(0.5, 'x') }) })
  await failsWith(run({ protocol: impatient, topology: line(2), time: rounds }), /number of rounds/)
})

test('timers can be taken back, and a study ends when all nodes have finished, or when it is told to', async () => {
  const ticking = defineProtocol({
    name: 'ticking',
    node(here) {
      const cancel = here.after(3, 'never')
      return {
        start() {
          cancel()
          here.after(1, 'tick')
        },
        timer(name) {
          here.count(name)
          here.after(1, 'tick')
          if (here.parameters === 'finish' && here.now >= 5) here.finish()
        },
      }
    },
  })
  for (const time of [continuous, rounds]) {
    const study = { protocol: ticking, topology: full(3), time }
    const finished = await run({ ...study, parameters: 'finish' })
    assert.equal([finished.ending, finished.end, finished.tally.counts.get('never')], ['finished', 5, undefined])
    assert.equal((await run({ ...study, until: 7 })).ending, 'reached')
    const stopped = await run({ ...study, stopWhen: ({ counts }) => (counts.get('tick') ?? 0) >= 6 })
    assert.equal([stopped.ending, stopped.end], ['finished', 2])
  }
})

test('loss and cuts', async () => {
  for (const time of [continuous, rounds]) {
    const lossy = { protocol: flood, topology: full(40), time, links: { mode: 'datagram', loss: 0.9 } } as const
    const { tally } = await run(lossy)
    assert.ok((tally.samples.get('heardAt')?.length ?? 0) < 39, 'nine of ten messages are lost')
    const prepare = (world: Parameters<NonNullable<Parameters<typeof runStudy>[1]['prepare']>>[0]) => {
      world.network.partition([
        ['node-0', 'node-1'],
        ['node-2', 'node-3'],
      ])
    }
    const study = { protocol: flood, topology: full(4), time, links: { mode: 'datagram' } } as const
    const cut = await runStudy(study, { seed: 1, production, prepare })
    assert.is(cut.tally.samples.get('heardAt')?.length, 1)
  }
})

test('the same seed does the same, another one does not', async () => {
  const chattering = defineProtocol({
    name: 'chattering',
    node: here => ({
      start: () => here.send(here.anyNeighbour(), [0]),
      message(_from: number, [hops = 0]: readonly number[]) {
        if (hops < 20) here.send(here.anyNeighbour(), [hops + 1])
      },
    }),
  })
  const latency = { dist: 'exp', meanMs: 10 } as const
  for (const time of [continuous, rounds]) {
    const study = { protocol: chattering, topology: ring(9), time, links: { latency } }
    const results = await Promise.all([run(study, 1), run(study, 1), run(study, 2)])
    const [one, again, other] = results.map(({ tally }) => JSON.stringify([...tally.links()]))
    assert.is(one, again)
    assert.is.not(one, other)
    assert.is(results[0]?.traceHash, results[1]?.traceHash)
  }
})

test('what a node may not do ends the study, and the message says what it was', async () => {
  const doing = (action: (here: { send(to: number, message: unknown): void }) => void) =>
    run({
      protocol: defineProtocol({ name: 'doing', node: here => ({ start: () => action(here) }) }),
      topology: line(3),
      time: continuous,
    })
  await failsWith(
    doing(here => here.send(2, 'x')),
    /no neighbour/,
  )
  await failsWith(
    doing(() => Math.random()),
    /Math\.random.*study\.test\.ts/,
  )
  await failsWith(
    doing(() => {
      throw new Error('it broke')
    }),
    /doing failed with seed 1: it broke/,
  )
})

async function failsWith(result: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await result.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.instance(error, StudyFailed)
  assert.match(String(error), message)
}

test.run()
