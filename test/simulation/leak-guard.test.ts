import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Leak, UnhandledRejection } from '../../src/simulation/leak-guard.ts'
import { World } from '../../src/simulation/world.ts'
import { production } from './production.ts'

/*
 * Simulated code that reaches the real world fails its run, and the failure names what was used and the line that did it;
 * also some promises later, and also beside real work that was announced. Code that is not simulated may use anything
 * meanwhile. A guard that is off, or that looks at globals alone, fails here.
 */

/** Runs `body` as simulated code; answers what the run ended with. */
async function failureOf(body: () => unknown): Promise<Error | undefined> {
  const world = new World({ seed: 1, production })
  world.at(1, 'body', () => void body())
  world.at(1_000, 'later', () => {})
  const ending = await world.run()
  return ending.kind === 'failed' ? ending.error : undefined
}

const leaks: readonly (readonly [resource: string, body: () => unknown])[] = [
  ['Timeout', () => setTimeout(() => {}, 1)],
  ['Timeout', () => clearInterval(setInterval(() => {}, 1))],
  ['Immediate', () => setImmediate(() => {})],
  ['TickObject', () => process.nextTick(() => {})],
  ['Math.random', () => Math.random()],
  ['Date.now', () => Date.now()],
  ['new Date()', () => new Date()],
  ['performance.now', () => performance.now()],
  ['crypto.getRandomValues', () => crypto.getRandomValues(new Uint8Array(8))],
  ['crypto.randomUUID', () => crypto.randomUUID()],
  ['HASHREQUEST', () => crypto.subtle.digest('SHA-256', new Uint8Array(8))],
  ['RANDOMBYTESREQUEST', () => randomBytes(8, () => {})],
  ['FSREQPROMISE', () => readFile(import.meta.filename)],
  ['Timeout', () => AbortSignal.timeout(10)],
]

for (const [resource, body] of leaks)
  test(`${resource} is found, and its place: ${String(body).slice(6)}`, async () => {
    const failure = await failureOf(body)
    assert.instance(failure, Leak)
    assert.is((failure as Leak).resource, resource)
    assert.match((failure as Leak).place, /leak-guard\.test\.ts:\d+:\d+$/)
  })

test('a leak is found some promises later', async () => {
  const failure = await failureOf(async () => {
    for (let link = 0; link < 10; link++) await null
    setTimeout(() => {}, 1)
  })
  assert.match(String(failure), /Timeout was used inside the simulation, at .*leak-guard\.test\.ts/)
})

test('a rejected promise that nobody hears fails the run', async () => {
  const failure = await failureOf(() => Promise.reject(new Error('unheard')))
  assert.instance(failure, UnhandledRejection)
  assert.match(String(failure), 'unheard')
})

test('announced work is no leak; what comes after it is watched again', async () => {
  const world = new World({ seed: 1, production })
  const digest = () => world.scheduler.outside(() => crypto.subtle.digest('SHA-256', new Uint8Array(8)))
  let done = 0
  world.at(1, 'work', async () => {
    await digest()
    done += 1
  })
  assert.is((await world.run()).kind, 'idle')
  assert.is(done, 1)
  world.at(2, 'work', async () => {
    await digest()
    Math.random()
  })
  const ending = await world.run()
  assert.match(String(ending.kind === 'failed' && ending.error), 'Math.random')
})

test('others may use the real world while a simulation runs', async () => {
  const world = new World({ seed: 1, production })
  const again = () => world.at(world.nowMs + 1, 'again', again)
  again()
  const running = world.run({ maxEvents: 3_000 })
  for (let round = 0; round < 20; round++) {
    await new Promise(resolve => setTimeout(resolve, Math.random()))
    assert.ok(Date.now() > 0 && new Date().getFullYear() > 2000)
  }
  assert.is((await running).kind, 'exhausted')
})

test('everything is put back', async () => {
  const before = [Math.random, Date, Date.now, performance.now, crypto.getRandomValues, crypto.randomUUID]
  await Promise.all([1, 2, 3].map(seed => new World({ seed, production }).run()))
  assert.equal([Math.random, Date, Date.now, performance.now, crypto.getRandomValues, crypto.randomUUID], before)
})

test.run()
