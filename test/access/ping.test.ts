/*
 * Proves: a client that says how often it is heard is not spoken to just to be kept up, and is let go when it is not heard; one
 * that says nothing is. It fails if a connection that nobody uses stays open, or a quiet client is taken for a dead one.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { closings } from '../../src/access/protocol.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { until } from '../fixtures/until.ts'
import { authenticatedClient, type RawClient, startRig } from './rig.ts'

const test = suite('Pings')
const tickMs = 10

async function rigged() {
  const clock = new ManualClock()
  const rig = await startRig({ clock, limits: { tickMs, keepAliveMs: 15_000 } })
  const client = await authenticatedClient(rig)
  return { clock, rig, client, witness: await authenticatedClient(rig) }
}

let ids = 100
async function ping(client: RawClient, everyMs?: number): Promise<number> {
  const id = ++ids
  client.send({ jsonrpc: '2.0', id, method: 'session.ping', params: everyMs === undefined ? {} : { everyMs } })
  const answer = await until(
    () => client.heard.find(heard => (heard as { id?: number }).id === id) as { result: { aliveEveryMs: number } },
    { what: 'the ping is answered' },
  )
  return answer.result.aliveEveryMs
}

const alives = ({ heard }: RawClient) =>
  heard.filter(each => (each as { method?: string }).method === 'session.alive').length

/** Ticks have passed, and what they sent has arrived: one that says nothing has heard that its connection stands. */
async function ticked(witness: RawClient, client: RawClient): Promise<void> {
  const before = alives(witness)
  await until(() => alives(witness) > before, { what: 'the witness hears' })
  if (client.closed === undefined) await ping(client)
}

test('who is heard by itself is not spoken to meanwhile', async () => {
  const { clock, rig, client, witness } = await rigged()
  assert.is(await ping(client), 15_000 + tickMs, 'without a word it is as it was')
  clock.advance(16_000)
  await until(() => alives(client) === 1, { what: 'a client that says nothing hears that the connection stands' })
  assert.is(await ping(client, 60_000), 60_000 + tickMs)
  clock.advance(59_000)
  await ticked(witness, client)
  assert.is(alives(client), 1)
  client.end()
  await rig.stop()
})

test('bounds of the policy hold: nobody is heard more seldom, or more often', async () => {
  const { rig, client } = await rigged()
  assert.is(await ping(client, 86_400_000), 300_000 + tickMs)
  assert.is(await ping(client, 1_000), 15_000 + tickMs)
  client.end()
  await rig.stop()
})

test('who is not heard for twice as long as it said is let go, and may come back', async () => {
  const { clock, rig, client, witness } = await rigged()
  await ping(client, 20_000)
  clock.advance(39_000)
  await ticked(witness, client)
  assert.is(client.closed, undefined)
  clock.advance(41_000)
  await until(() => client.closed, { what: 'it is closed' })
  assert.is(client.closed?.code, closings.silent.code)
  assert.ok(closings.silent.retry)
  await rig.stop()
})

test.run()
