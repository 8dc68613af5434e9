/*
 * Property: what `cpns bench` says of a machine was done on the disk that was asked about: every rate is a number, what is durable is
 * slower than what is only signed, and nothing is left there. A disk that does not take what is written is told of, with why.
 */
import { readdir } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../src/adapters/clock.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { serverIdentity } from '../../src/adapters/identity.ts'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { type CapacityOptions, measureCapacity } from '../../src/operations/capacity/measure.ts'
import { operatorId } from '../../src/ports/names.ts'
import { cpnsHere } from '../cli/in-process.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'

const test = suite('Capacity')
const crypto = nodeCrypto()

const options = (open: CapacityOptions['open']): CapacityOptions => ({
  identity: serverIdentity(operatorId('a.example'), crypto.ed25519.generate().privateKey, crypto),
  ...{ open, crypto, clock: systemClock({ holdsProcess: true }), random: systemRandom(), milliseconds: 100 },
})

test('each figure is told, and the folder is as it was', async () => {
  const folder = await temporaryFolder()
  try {
    const { stdout, code } = await cpnsHere('bench', '--on', folder.path, '--for', '100ms', '--json')
    assert.is(code, 0)
    const capacity = JSON.parse(stdout) as Record<string, { perSecond: number; p50Ms: number; p99Ms: number }>
    assert.equal(Object.keys(capacity).toSorted(), [
      'opens',
      'signatures',
      'verifications',
      'writesAtOnce',
      'writesOneByOne',
    ])
    for (const [name, { perSecond, p50Ms, p99Ms }] of Object.entries(capacity)) {
      assert.ok(perSecond > 0 && Number.isFinite(perSecond), name)
      assert.ok(p50Ms > 0 && p50Ms <= p99Ms, name)
    }
    assert.ok((capacity.signatures?.perSecond ?? 0) > (capacity.writesOneByOne?.perSecond ?? 0))
    assert.equal(await readdir(folder.path), [])
  } finally {
    await folder.remove()
  }
})

test('a disk that takes nothing', async () => {
  const folder = await temporaryFolder()
  const refusing = async () => {
    const store = await openLevelLogStore(folder.path)
    return { ...store, commit: () => Promise.reject(new Error('no space left on device')) }
  }
  try {
    const outcome = await measureCapacity(options(refusing)).catch((error: Error) => error)
    assert.match(String(outcome), /WriteFailed/)
    await (await openLevelLogStore(folder.path)).close()
  } finally {
    await folder.remove()
  }
})

test.run()
