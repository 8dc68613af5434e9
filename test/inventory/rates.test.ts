/*
 * Proves: who asks too often is told when to ask again, before anything is opened for it, and nobody else pays for it: not
 * the PNE at another gateway, not the other PNEs of the gateway, not another PN. What is counted has an end.
 * Fails if a key is looked up or a seal is opened for who is to wait, or if a gateway can use up what is another's.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { CommandRefused } from '../../src/federation/command.ts'
import type { Caller } from '../../src/inventory/authority.ts'
import { createRates, defaultRates } from '../../src/inventory/registration/rates.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { a, Gateway, homeNetwork, newId, Pne, refusalOf, subscribe, world } from './world.ts'

const rates = { ...defaultRates, pnePerSecond: 1, pneBurst: 4, gatewayPerSecond: 1, gatewayBurst: 8 }

test('a PNE at one gateway, and the gateway itself, get 429 and a time; the PNE has all of its own at another gateway', async () => {
  const w = await world({ [a]: 1 }, { rates })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'radio', 'porch')
  const lamp = new Pne(a, 'lamp')
  await hub.update('add', [lamp.name, { operator: a, pneId: 'radio' }, { operator: a, pneId: 'porch' }])
  const porch = new Gateway(w.at(a), 'porch', a, 'flat')
  await porch.attach()
  const { params } = await lamp.seal(porch)
  let lookups = 0
  const { get } = w.at(a).subscribers
  w.at(a).subscribers.get = identity => {
    lookups += 1
    return get.call(w.at(a).subscribers, identity)
  }

  const garbage = () => w.at(a).call('pne.register', { ...params, transaction: newId() }, 'porch')
  for (let times = 0; times < 4; times++) assert.is(await refusalOf(garbage()), '401 AUTH_FAILED')
  assert.is(lookups, 4)
  const refused = await garbage().catch((error: unknown) => error)
  assert.instance(refused, CommandRefused)
  assert.is((refused as CommandRefused).status, 429)
  assert.is((refused as CommandRefused).retryAfterMs, 1_000)
  assert.is(lookups, 4, 'nothing was looked up or opened for it')

  assert.is(await refusalOf(new Pne(a, 'radio').seal(porch)), 'not refused', 'the gateway has some left')
  assert.is((await lamp.register(hub)).status, 201, 'and the other gateway all of its own')
  w.clock.advance(1_000)
  assert.is(await refusalOf(garbage()), '401 AUTH_FAILED', 'one more after the time it was told')
  assert.is(await refusalOf(garbage()), '429 RATE_LIMITED')
  await w.stop()
})

test('a gateway that asks for everybody is limited as a whole, in the PN where it does', async () => {
  const w = await world({ [a]: 1 }, { rates })
  const hub = await homeNetwork(w)
  const other = await homeNetwork(w, 'garden')
  const challenge = (gateway: Gateway) => refusalOf(gateway.server.call('pne.challenge', gateway.way(a), 'alice'))
  for (let times = 0; times < 8; times++) assert.is(await challenge(hub), 'not refused')
  assert.is(await challenge(hub), '429 RATE_LIMITED')
  assert.is(await challenge(other), 'not refused')
  await w.stop()
})

test('what is counted is bounded; a name that is forgotten has more, never less', async () => {
  const clock = new ManualClock()
  const { limited } = createRates(clock, { ...rates, gatewayBurst: 1_000, maxNames: 3 })
  const caller: Caller = { kind: 'operator', operator: a }
  const way = { home: a, pnId: 'flat', gatewayId: 'hub', operator: a }
  const procedure = limited<typeof way & { pneId?: string }, string>({
    ...({ spec: {}, network: () => way, executor: () => a } as never as object),
    execute: async () => 'done',
  } as never)
  const ask = (pneId: string) => refusalOf(procedure.execute({ ...way, pneId }, caller))
  for (let times = 0; times < 4; times++) assert.is(await ask('one'), 'not refused')
  assert.is(await ask('one'), '429 RATE_LIMITED')
  for (const pneId of ['two', 'three']) assert.is(await ask(pneId), 'not refused')
  assert.is(await ask('one'), '429 RATE_LIMITED', 'three are counted at once')
  assert.is(await ask('four'), 'not refused')
  assert.is(await ask('one'), 'not refused', 'the one used longest ago was forgotten')

  for (let times = 0; times < 3; times++) await ask('three')
  clock.advance(4_000)
  for (const pneId of ['five', 'six', 'seven']) assert.is(await ask(pneId), 'not refused')
  for (let times = 0; times < 4; times++) assert.is(await ask('three'), 'not refused', 'full again by then')
  assert.is(await ask('three'), '429 RATE_LIMITED')
})

test.run()
