/*
 * Property: a server that starts on a backup of its disk, while others have gone on with what it wrote after that, gets all of it
 * back, takes nothing back, begins new logs and diverges from nobody. Fails when a log is gone on with that others hold further.
 */
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { newLevelStore, openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { MemoryHub } from '../fixtures/memory-network.ts'
import { testOperator } from '../fixtures/operators.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { until } from '../fixtures/until.ts'
import { World, type WorldServer } from './world.ts'

const a = testOperator('a.example', 2)
const home = asDocumentId('pn/a.example/home')
const test = suite('A restored disk')

test('gets back what came after the backup, and goes on with all others', async () => {
  const { path, remove } = await temporaryFolder()
  const clock = new ManualClock()
  const hub = new MemoryHub()
  let isRestored = false
  const [first] = a.servers
  const world = new World([a], {
    clock,
    network: server => hub.network(server.id),
    address: server => `/memory/${server}`,
    store: server => {
      const folder = isRestored && server === first?.id ? 'restored' : server
      return openLevelLogStore(join(path, folder), { reserveBytes: 0 })
    },
  })
  const isSame = async (one: WorldServer, two: WorldServer) => (await one.digest(home)) === (await two.digest(home))
  const soon = (what: string, condition: () => Promise<boolean>) =>
    until(() => clock.run(200).then(condition), { what })
  try {
    let one = await world.start(a, 0)
    const two = await world.start(a, 1)
    for (let at = 0; at < 5; at++) await one.set(home, 'k', at)
    await soon('both hold it', () => isSame(one, two))

    const backup = await newLevelStore(join(path, 'restored'))
    for await (const record of one.store.dump()) await backup.put([record])
    await backup.close()
    for (let at = 5; at < 10; at++) await one.set(home, 'k', at)
    await one.set(home, 'late', 1)
    await soon('both hold that too', () => isSame(one, two))
    await world.stop(one)
    await two.set(home, 'while it was away', 1)
    isRestored = true
    one = await world.start(a, 0)
    // Before it has heard of anybody: what it writes now must not stand where others have something else.
    await one.set(home, 'at once', 1)
    await soon('both hold the same again', () => isSame(one, two))
    for (const server of [one, two]) {
      assert.equal(await server.content(home), { k: 9, late: 1, 'while it was away': 1, 'at once': 1 })
      assert.is(server.telemetry.counter('cpns_equivocations_total'), 0)
      assert.is(server.telemetry.counter('cpns_entries_refused_total'), 0)
    }
  } finally {
    await world.stopAll()
    await remove()
  }
})

test.run()
