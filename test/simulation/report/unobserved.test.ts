/*
 * Measuring changes nothing: a run that the collector sees nothing of has the same trace. Fails when the collector draws from
 * a stream, schedules an event, or wakes a node.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { runScenario } from '../../../src/simulation/scenario/run.ts'
import { production } from '../production.ts'
import { smallScenario } from '../scenarios.ts'

const unobserved = join(import.meta.dirname, 'unobserved-run.ts')

for (const seed of ['1', '2', '3']) {
  test(`seed ${seed} has the same trace unobserved`, async () => {
    const { hash, events, data } = await runScenario(smallScenario(), seed, { production })
    assert.ok(data.replicas.length > 0, 'observed')
    const told: unknown = JSON.parse(execFileSync(process.execPath, [unobserved, seed], { encoding: 'utf8' }))
    assert.equal(told, { hash, events, samples: 0 })
  })
}

test.run()
