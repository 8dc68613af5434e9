import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { DiskFate } from '../../src/simulation/disk.ts'
import { World } from '../../src/simulation/world.ts'
import { blobOf, collected, nameOf, stored } from '../ports/media-store.contract.ts'
import { production } from './production.ts'

/*
 * Media over a power cut at any time: what `finish` had said is there and right; what it had not is there whole or not at
 * all; and what is left can be gone on with. Fails when a blob gets its name before its content is durable, or when what a
 * crash left of an upload is trusted.
 */
const test = suite('simulated files')
const latency = { dist: 'uniform', minMs: 0.1, maxMs: 2 } as const
const fates: readonly DiskFate[] = [{ kind: 'keep' }, { kind: 'unsynced' }, { kind: 'torn' }]

test('a power cut at any time leaves what was finished, and nothing half', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      fc.integer({ min: 0, max: 60_000 }),
      fc.constantFrom(...fates),
      fc.array(fc.integer({ min: 0, max: 90_000 }), { minLength: 1, maxLength: 4 }),
      async (seed, cutUs, fate, lengths) => {
        const world = new World({ seed, production, guard: false })
        const host = world.host('a', { disk: { syncLatency: latency, readLatency: latency } })
        const blobs = lengths.map((length, at) => blobOf(length, at))
        const finished = new Set<number>()
        const { media } = host.boot()
        for (const [at, bytes] of blobs.entries()) void stored(media, bytes).then(() => finished.add(at))
        await world.run({ untilUs: cutUs })
        const promised = new Set(finished)
        host.crash({ of: 'machine', disk: fate })

        const again = host.boot().media
        const check = async (bytes: Uint8Array, at: number) => {
          const name = nameOf(bytes)
          const isThere = (await again.stat(name)) !== undefined
          assert.ok(isThere || !promised.has(at), `blob ${at} was finished`)
          await stored(again, bytes)
          assert.equal(await collected(again.read(name)), bytes)
        }
        let checked = 0
        const checks = Promise.all(blobs.map((bytes, at) => check(bytes, at).then(() => (checked += 1))))
        await Promise.race([world.run(), checks])
        assert.is(checked, blobs.length)
      },
    ),
    { numRuns: 30 },
  )
})

test.run()
