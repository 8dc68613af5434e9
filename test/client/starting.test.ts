/*
 * Proves: a server that has begun to start serves clients before it knows all of its documents, says so, and links with nobody until it
 * does; it can be stopped at that moment, and the next start is none the worse for it; and each stage of a start is left in
 * order when it fails.
 * Fails if clients wait for what they do not need, if a document goes to another operator before it is known who may hold it,
 * or if an end comes too early, too late or twice.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { memoryDisk, memoryLogStore } from '../../src/adapters/memory-log-store.ts'
import { pnEstablish, pnInventory, pnList } from '../../src/inventory/methods.ts'
import { type Stages, StartBrokenOff, staged } from '../../src/node/stages.ts'
import type { LogStore } from '../../src/ports/log-store.ts'
import { until } from '../fixtures/until.ts'
import { clientWorldOn } from './world.ts'

/** A store that counts documents no sooner than it is let. */
function gated(store: LogStore, open: () => Promise<void>): LogStore {
  return {
    ...store,
    async count(range) {
      await open()
      return store.count(range)
    },
  }
}

test('clients are served while a server learns its documents; links with others come after, and a stop at any time', async () => {
  const disk = memoryDisk()
  let open = Promise.resolve()
  const w = await clientWorldOn(
    name =>
      name === 'a.example'
        ? {
            get store() {
              return gated(memoryLogStore({ disk }), () => open)
            },
          }
        : {},
    'a.example',
    'b.example',
  )
  const [a, b] = w.nodes
  assert.ok(a && b)
  const isLinked = () => a.node.federation.links().some(({ state }) => state === 'up')
  await until(isLinked, { what: 'the servers are linked' })
  const owner = await a.session('alice')
  await owner.call(pnEstablish, { commandId: 'establishes-the-flat', alias: 'Flat', pnId: 'flat' })
  await owner.close()
  assert.is(a.node.status().starting, undefined)

  for (const end of ['stopped', 'let'] as const) {
    await a.down()
    const gate = Promise.withResolvers<void>()
    open = gate.promise
    await a.up('serving')
    assert.equal(a.node.status().starting, { known: 0, all: undefined })
    const session = await a.session('alice')
    const inventory = await session.call(pnInventory, { home: a.node.federation.operator, pnId: 'flat' })
    assert.is(inventory.alias, 'Flat', 'what is one’s own is there')
    const refused = await session.call(pnList, {}).catch((error: unknown) => error)
    assert.match(String(refused), /just started/)
    assert.equal(a.node.federation.links(), [], 'nobody is given anything')
    await session.close()
    if (end === 'stopped') {
      const ended = a.down()
      gate.resolve()
      const failure: unknown = await a.node.ready.catch((error: unknown) => error)
      assert.instance(failure, StartBrokenOff)
      await ended
      await a.up()
    } else {
      gate.resolve()
      await a.node.ready
    }
    assert.is(a.node.status().starting, undefined)
    await until(isLinked, { what: 'the servers are linked again' })
  }
  const session = await a.session('alice')
  const { networks } = await session.call(pnList, {})
  assert.equal(
    networks.map(({ pnId }) => pnId),
    ['flat'],
  )
  await w.stop()
})

/** Stages that note what happens, and one of which fails. */
function noted(failing?: keyof Stages, slow?: keyof Stages) {
  const notes: string[] = []
  const learning = Promise.withResolvers<void>()
  const slowness = Promise.withResolvers<void>()
  const stage = (name: keyof Stages) => async () => {
    notes.push(name)
    if (name === slow) await slowness.promise
    if (name === failing) throw new Error(`${name} fails`)
  }
  const stages: Stages = {
    prepare: stage('prepare'),
    async learn(signal) {
      await stage('learn')()
      signal.addEventListener('abort', () => learning.resolve())
      await learning.promise
    },
    serve: stage('serve'),
    link: stage('link'),
    end: stage('end'),
  }
  return { notes, start: staged(stages), learned: learning.resolve, goesOn: slowness.resolve }
}
const outcome = (promise: Promise<void>): Promise<string> =>
  promise.then(
    () => 'well',
    (error: Error) => error.message,
  )

test('a start goes through its stages in order, and ends once', async () => {
  const { notes, start, learned } = noted()
  await start.start()
  assert.equal([notes, start.isReady], [['prepare', 'learn', 'serve'], false])
  learned()
  await start.ready
  assert.equal([notes.at(-1), start.isReady], ['link', true])
  await Promise.all([start.stop(), start.stop()])
  assert.equal(notes, ['prepare', 'learn', 'serve', 'link', 'end'])
})

test('where a stage fails everything ends, and whoever waits hears why', async () => {
  for (const failing of ['prepare', 'serve'] as const) {
    const { notes, start } = noted(failing)
    assert.equal(await outcome(start.start()), `${failing} fails`)
    assert.equal(await outcome(start.ready), `${failing} fails`)
    await start.stop()
    assert.is(notes.filter(note => note === 'end').length, 1)
  }
  for (const failing of ['learn', 'link'] as const) {
    const { notes, start, learned } = noted(failing)
    await start.start()
    learned()
    assert.equal(await outcome(start.ready), `${failing} fails`)
    await start.stop()
    assert.is(notes.filter(note => note === 'end').length, 1)
  }
})

test('a start that is stopped while it learns links with nobody', async () => {
  const { notes, start } = noted()
  await start.start()
  await start.stop()
  assert.match(await outcome(start.ready), /stopped while it started/)
  assert.equal(notes, ['prepare', 'learn', 'serve', 'end'])
})

test('a start that is stopped before it serves goes no further than the stage that it is at, and ends after that', async () => {
  for (const [slow, reached] of [
    ['prepare', ['prepare']],
    ['serve', ['prepare', 'learn', 'serve']],
  ] as const) {
    const { notes, start, goesOn } = noted(undefined, slow)
    const started = outcome(start.start())
    await until(() => notes.includes(slow), { what: `it is at ${slow}` })
    const stopped = start.stop()
    await Promise.resolve()
    assert.equal(notes, reached, 'nothing ends under a stage')
    goesOn()
    await stopped
    assert.equal(notes, [...reached, 'end'])
    assert.match(await started, /stopped while it started/)
    assert.match(await outcome(start.ready), /stopped while it started/)
    assert.is(start.isReady, false)
  }
})

test('a start that was stopped before it began does not begin', async () => {
  const { notes, start } = noted()
  await start.stop()
  assert.match(await outcome(start.start()), /stopped while it started/)
  assert.equal(notes, ['end'])
})

test.run()
