/*
 * Proves: a change of a mailbox stands in two documents, and whatever comes between the two commits, nothing is lost, told twice or half
 * done for good: power that fails between them, a disk that is full at the first or at the second.
 * Fails if a change is durable in a part and no sync tells it, if one is told twice, or if a refused command cannot be repeated.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { RequestRefused } from '../../src/client/errors.ts'
import type { MethodSpec } from '../../src/federation/command.ts'
import { messageDeposit } from '../../src/storage/methods/objects.ts'
import { userShow } from '../../src/storage/methods/users.ts'
import { alice, message, newId, StorageWorld } from './storage-world.ts'

const test = suite('Between two commits')
const [home, other] = ['a.example/1', 'a.example/2'] as const

async function started(limits = {}): Promise<StorageWorld> {
  const world = await StorageWorld.start({ 'a.example': 2 }, limits)
  await world.registerAlice()
  await world.deposit('before')
  await world.converged()
  return world
}

const command = (text: string) => ({ commandId: newId(), ...alice, object: message(text) })

/** Asks once: what became of it, or how it was refused. */
function once<P, R>(world: StorageWorld, identity: string, spec: MethodSpec<P, R>, params: P): Promise<string> {
  return world.inside(async () => {
    const session = await world.client(identity, home).session()
    return session.call(spec, params).then(
      () => 'done',
      error => {
        if (error instanceof RequestRefused) return `${error.status} ${error.reason}`
        throw error
      },
    )
  })
}

/** Whether a part holds a commit that the mailbox document of a server does not name. */
function owes(world: StorageWorld): boolean {
  for (const { name } of world.server(home).host.disk.records) if (name.includes('owed-change/')) return true
  return false
}

/** Goes on to the moment at which the part is durable and its naming is not. */
async function untilOwed(world: StorageWorld): Promise<void> {
  const { world: virtual } = world.federation
  const ending = await virtual.run({ untilUs: Math.round((virtual.nowMs + 10_000) * 1_000), when: () => owes(world) })
  if (ending.kind === 'failed') throw ending.error
  assert.ok(owes(world), 'a part is durable and not named')
}

/** What a device hears that comes again and again: each text once, or the number of times says so. */
async function told(world: StorageWorld, token: string, server: string): Promise<{ texts: string[]; token: string }> {
  const { kind, created, changed, lagging, token: next } = await world.sync({ token }, server)
  assert.equal({ kind, lagging }, { kind: 'page', lagging: false })
  return { texts: [...created, ...changed].map(object => ('text' in object ? String(object.text) : '')), token: next }
}

async function tellsOnce(world: StorageWorld, token: string, texts: readonly string[]): Promise<void> {
  for (const server of [home, other]) {
    const first = await told(world, token, server)
    assert.equal(first.texts.sort(), [...texts].sort(), server)
    const again = await told(world, first.token, server)
    assert.equal(again.texts, [], `${server} again`)
  }
  const { objects } = await world.call('alice', home, userShow, alice)
  assert.is(objects, texts.length + 1, 'objects that are counted')
  assert.is(owes(world), false, 'nothing is owed')
}

test('a change that power fails to name is named at the start, and told once', async () => {
  const world = await started()
  const { token } = await world.sync()
  const params = command('in between')
  const client = world.client('function', home)
  const answer = client.insist(messageDeposit, params)
  await untilOwed(world)
  const restarted = world.server(home).host.runs.length
  world.crash(home)
  await world.until(() => world.server(home).host.runs.length > restarted, 'it is started')
  assert.is((await world.inside(() => answer)).created, false, 'the repetition finds it')
  await world.converged()
  await tellsOnce(world, token, ['in between'])
})

test('power that fails in any millisecond of a change costs nothing, and tells nothing twice', async () => {
  const world = await started()
  const { token } = await world.sync()
  const texts: string[] = []
  for (let afterMs = 0; afterMs < 10; afterMs++) {
    const text = `in millisecond ${afterMs}`
    const answer = world.client('function', home).insist(messageDeposit, command(text))
    await world.pass(afterMs)
    world.crash(home)
    await world.inside(() => answer)
    await world.pass(1_000)
    await world.linked()
    texts.push(text)
  }
  await world.converged()
  await tellsOnce(world, token, texts)
})

test('a disk that is full at the first commit refuses, and takes the same command once there is room', async () => {
  const world = await started()
  const { token } = await world.sync()
  const params = command('no room')
  const { disk } = world.server(home).host
  disk.capacityBytes = disk.usedBytes
  assert.is(await once(world, 'function', messageDeposit, params), '503 NOT_STORED')
  assert.equal((await told(world, token, home)).texts, [])
  disk.capacityBytes = Number.POSITIVE_INFINITY
  assert.is(await once(world, 'function', messageDeposit, params), 'done')
  await world.deposit('after')
  await world.converged()
  await tellsOnce(world, token, ['no room', 'after'])
})

test('a disk that is full at the second commit refuses, and the change is told once when there is room', async () => {
  const world = await started()
  const { token } = await world.sync()
  const params = command('half')
  const { disk } = world.server(home).host
  const before = disk.usedBytes
  // A little more room each time: the first commit that fits leaves too little for the second.
  for (let roomBytes = 0; !owes(world); roomBytes += 64) {
    disk.capacityBytes = before + roomBytes
    assert.is(await once(world, 'function', messageDeposit, params), '503 NOT_STORED')
  }
  disk.capacityBytes = disk.usedBytes
  assert.is(await once(world, 'function', messageDeposit, command('none either')), '503 NOT_STORED')
  assert.equal((await told(world, token, home)).texts, [])
  disk.capacityBytes = Number.POSITIVE_INFINITY
  assert.is(await once(world, 'function', messageDeposit, params), 'done')
  await world.deposit('after')
  await world.converged()
  await tellsOnce(world, token, ['half', 'after'])
})

test.run()
