/*
 * Proves: a client for which no server has room tells its application `direct`, with the address that the application gave, once,
 * and `back` when a server has room again; what waited meanwhile comes then, in order; and what was given is remembered no
 * longer, and no more of it, than is needed. Production nodes in the simulator, as busy as they are told to be.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Remembered } from '../../src/client/remembered.ts'
import { ChannelWorld, direct } from './channel-world.ts'

const servers = ['a.example/1', 'a.example/2']
const test = suite('direct and back')

test('while no server has room the application uses its own server, and comes back', async () => {
  const channels = await ChannelWorld.start(2)
  const app = await channels.app('alice', [0, 1])
  await channels.post(app, 'before', 'a.example/1')
  await channels.isGiven(app, 1)
  // A new process, without a ticket to resume with, while both have too much to do.
  await channels.end(app)
  assert.is((await channels.post(app, 'meanwhile', 'a.example/2')).status, 201)
  const busy = { loopDelayMs: 300, utilisation: 1, memory: 0 }
  for (const server of servers) channels.world.server(server).probe.current = busy
  await channels.world.pass(10_000)
  const next = await channels.begin('alice', [0, 1])
  await channels.world.until(() => next.events.length > 0, 'it is told')
  assert.equal(next.events, [`direct ${direct}`])
  assert.is(next.channel.state, 'direct')
  await channels.world.pass(60_000)
  assert.equal(next.events, [`direct ${direct}`], 'once')
  assert.equal(next.texts, [])
  for (const server of servers)
    channels.world.server(server).probe.current = { ...busy, loopDelayMs: 0, utilisation: 0 }
  await channels.isGiven(next, 1)
  assert.equal(next.events, [`direct ${direct}`, 'opened', 'back'])
  assert.equal(next.texts, ['meanwhile'])
  assert.is(next.channel.state, 'open')
})

test('what was given is remembered until it has ended, and no more of it than fits', () => {
  const remembered = new Remembered(100)
  for (let number = 0; number < 100; number++) remembered.add(`m${number}`, 1_000 + number, 0)
  assert.ok(remembered.has('m0'))
  remembered.add('m0', 5_000_000, 0)
  remembered.add('more', 2_000, 0)
  assert.ok(remembered.has('more'))
  assert.ok(remembered.has('m0'), 'it ends last by now')
  assert.not(remembered.has('m1'), 'what ends first goes first')
  for (let number = 0; number < 100; number++) remembered.add(`late${number}`, 400_000, 350_000)
  assert.not(remembered.has('m50'), 'ended, with five minutes more')
  assert.ok(remembered.has('m0'))
})

test.run()
