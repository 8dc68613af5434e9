import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Checkpoint, Trace } from '../../src/simulation/trace.ts'
import { type ChatterResult, chatterRun } from './chatter-run.ts'

/*
 * The same seed gives the same history, line by line: in another process, with other streams drawn from, and with the
 * guard off. Another seed, or another order of ties, gives another. A clock, a random number or a thread that leaks into
 * the kernel or into a simulated port makes the hashes differ.
 */

test('another process does the same', async () => {
  const here = await chatterRun({ seed: 'one' })
  const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'chatter-run.ts'), 'one'])
  const there = JSON.parse(stdout) as ChatterResult
  assert.is(here.ending, 'reached')
  assert.ok(here.lines > 10_000, `only ${here.lines} lines: too little to tell anything`)
  assert.equal(there, here)
})

test('a draw elsewhere, and the absence of the guard, change nothing', async () => {
  const plain = await chatterRun({ seed: 2 })
  const disturbed = await chatterRun({ seed: 2, guard: false }, world => {
    for (const name of ['unrelated', 'host', 'net', 'ties']) world.random(name).bytes(1_000)
    world.network.link('nobody', 'nowhere').latencyUs()
  })
  assert.equal(disturbed, plain)
})

test('another seed, and shuffled ties, do something else', async () => {
  const hashes = await Promise.all(
    [{ seed: 3 }, { seed: 4 }, { seed: 3, shuffleTies: true }].map(options =>
      chatterRun(options).then(({ hash }) => hash),
    ),
  )
  assert.is(new Set(hashes).size, 3)
})

test('checkpoints tell where two histories part', () => {
  const history = (differsAt: number): readonly Checkpoint[] => {
    const trace = new Trace({ checkpointEvery: 10 })
    for (let line = 0; line < 100; line++) trace.note('e', 'host', '', line === differsAt ? 1 : 0)
    return trace.checkpoints
  }
  const [one, other] = [history(-1), history(57)]
  assert.is(one.length, 10)
  assert.is(
    one.findIndex(({ hash }, index) => hash !== other[index]?.hash),
    5,
  )
})

test('every part of a line counts, and whoever listens gets it', () => {
  const lines: unknown[] = []
  const hashes = [
    ['kind', 'at', 'about', 1, 2],
    ['Kind', 'at', 'about', 1, 2],
    ['kind', 'At', 'about', 1, 2],
    ['kind', 'at', 'About', 1, 2],
    ['kind', 'at', 'about', 2, 2],
    ['kind', 'at', 'about', 1, 3],
  ].map(([kind, at, about, amount, digest]) => {
    const trace = new Trace({ listener: line => lines.push(line) })
    trace.timeUs = 2 ** 40 + 5
    trace.note(String(kind), String(at), String(about), Number(amount), Number(digest))
    return trace.hash
  })
  assert.is(new Set(hashes).size, hashes.length)
  assert.equal(lines[0], {
    index: 0,
    timeUs: 2 ** 40 + 5,
    event: 0,
    kind: 'kind',
    at: 'at',
    about: 'about',
    amount: 1,
    digest: 2,
  })
})

test.run()
