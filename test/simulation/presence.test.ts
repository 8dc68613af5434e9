/*
 * Proves, for production nodes and the SDK under virtual time: a partition takes away what the other side said of who is
 * there, within the lease and without anybody being told so, and no more than that; after the heal it is back, and so it is
 * after a crash. The same seed gives the same notices at the same times.
 * Fails if somebody is shown as there for longer than a lease though nothing is heard of it, if a heal or a restart leaves
 * somebody unknown, or if presence reads a clock or draws a number past its ports.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { followPresence, keepPresent } from '../../src/client/presence.ts'
import {
  gatewayAttach,
  type Presence,
  pnEstablish,
  pnGrant,
  pnInventory,
  pnUpdate,
} from '../../src/inventory/methods.ts'
import { defaultPresenceLimits } from '../../src/inventory/presence/limits.ts'
import { SimulatedClient } from '../../src/simulation/federation/client.ts'
import { SimulatedFederation } from '../../src/simulation/federation/federation.ts'
import { World } from '../../src/simulation/world.ts'
import { production } from './production.ts'

const { leaseMs, tickMs, gatherMs } = defaultPresenceLimits
const flat = { home: 'a.example', pnId: 'flat' }
/** From anything that happens to what a client hears of it, over links that stand. */
const soonMs = gatherMs * 2 + 1_000
/** Links and clients back off for so long. */
const recoveryMs = 60_000

const lines = ({ gateways }: Presence): string =>
  gateways
    .filter(({ reach }) => reach !== 'unknown')
    .map(({ gatewayId, reach }) => `${gatewayId} ${reach}`)
    .sort()
    .join(', ')

/** A of two servers, B of one; alice watches at the second, her gateway `hub` is attached to the first, B’s `porch` at B. */
class Stage {
  readonly world: World
  readonly federation: SimulatedFederation
  /** What watchers saw, by name, with the time. */
  readonly history: string[] = []
  readonly seen = new Map<string, string>()
  readonly #clients = new Map<string, SimulatedClient>()

  private constructor(world: World, federation: SimulatedFederation) {
    this.world = world
    this.federation = federation
  }

  static async start(seed: number): Promise<Stage> {
    const world = new World({ seed, production })
    const federation = await SimulatedFederation.create(world, {
      operators: [
        { name: 'a.example', servers: 2 },
        { name: 'b.example', servers: 1 },
      ],
    })
    const stage = new Stage(world, federation)
    stage.#client('hub', 'a.example', 'alice', 0)
    stage.#client('watcher', 'a.example', 'alice', 1)
    stage.#client('porch', 'b.example', 'radio', 0)
    federation.start()
    await stage.pass(5_000)
    await stage.inside(() => stage.#furnish())
    return stage
  }

  #client(name: string, operator: string, identity: string, server: number): void {
    const of = this.federation.operator(operator)
    of.keyOf(identity)
    this.#clients.set(name, new SimulatedClient(this.world, of, identity, name, [server]))
  }

  client(name: string): SimulatedClient {
    const found = this.#clients.get(name)
    if (!found) throw new Error(`no client ${name}`)
    return found
  }

  async #furnish(): Promise<void> {
    const { id: home } = this.federation.operator('a.example')
    const { id: guest, fingerprint } = this.federation.operator('b.example')
    const network = { home, pnId: flat.pnId }
    let ids = 0
    const command = () => ({ commandId: `presence-${String(++ids).padStart(12, '0')}`, ...network })
    const [hub, watcher, porch] = await Promise.all(
      ['hub', 'watcher', 'porch'].map(name => this.client(name).session()),
    )
    if (!hub || !watcher || !porch) throw new Error('not all are connected')
    const { commandId } = command()
    await hub.call(pnEstablish, { commandId, alias: 'Flat', pnId: flat.pnId })
    const expires = this.world.epochMs + 86_400_000
    await hub.call(pnGrant, {
      ...command(),
      operator: guest,
      fingerprint,
      rights: ['register', 'admit', 'gateway'],
      expires,
    })
    await hub.call(pnUpdate, { ...command(), operation: 'add', pnes: [{ operator: guest, pneId: 'radio' }] })
    await hub.call(gatewayAttach, { ...command(), gatewayId: 'hub' })
    await this.client('porch').pause(2_000)
    await porch.call(gatewayAttach, { ...command(), gatewayId: 'porch' })
    await this.client('watcher').pause(2_000)
    assert.is((await watcher.call(pnInventory, network)).gateways.length, 2)

    for (const [name, session] of [
      ['watcher', watcher],
      ['porch', porch],
    ] as const) {
      followPresence(session, this.client(name).ports.clock, network, {
        changed: presence => {
          this.seen.set(name, lines(presence))
          this.history.push(`${this.world.nowMs} ${name}: ${lines(presence)}`)
        },
      })
    }
    for (const [name, session] of [
      ['hub', hub],
      ['porch', porch],
    ] as const) {
      keepPresent(session, this.client(name).ports.clock, {
        network,
        gatewayId: name,
        now: () => ({ state: 'active' }),
      })
    }
  }

  async pass(durationMs: number): Promise<void> {
    const ending = await this.world.run({ untilUs: Math.round((this.world.nowMs + durationMs) * 1_000) })
    if (ending.kind === 'failed') throw ending.error
  }

  async inside(action: () => Promise<void>): Promise<void> {
    let ended: { readonly error?: unknown } | undefined
    this.world.at(Math.ceil(this.world.nowMs), 'step', () => {
      action().then(
        () => {
          ended = {}
        },
        error => {
          ended = { error }
        },
      )
    })
    for (let waitedMs = 0; !ended && waitedMs < recoveryMs; waitedMs += 100) await this.pass(100)
    if (!ended) throw new Error('The step did not end.')
    if ('error' in ended) throw ended.error
  }
}

/** One history, out of one seed: what the watchers saw, and when. */
async function partitionAndCrash(seed: number): Promise<readonly string[]> {
  const stage = await Stage.start(seed)
  const { world, federation, seen } = stage
  const all = 'hub reachable, porch reachable'
  await stage.pass(soonMs)
  assert.is(seen.get('watcher'), all)
  assert.is(seen.get('porch'), all)

  const heal = world.network.partition([
    ['a.example/1', 'a.example/2', 'hub', 'watcher'],
    ['b.example/1', 'porch'],
  ])
  await stage.pass(leaseMs + tickMs + soonMs)
  assert.is(seen.get('watcher'), 'hub reachable')
  assert.is(seen.get('porch'), 'porch reachable')
  await stage.pass(2 * leaseMs)
  assert.is(seen.get('watcher'), 'hub reachable', 'what is on this side stays')

  heal()
  await stage.pass(recoveryMs)
  assert.is(seen.get('watcher'), all)
  assert.is(seen.get('porch'), all)

  const victim = federation.server('a.example/1')
  victim.crash({ of: 'process' })
  await stage.pass(leaseMs + tickMs + soonMs)
  assert.is(seen.get('watcher'), 'porch reachable', 'what a server heard is gone with it')
  assert.is(seen.get('porch'), 'porch reachable')
  victim.start()
  await stage.pass(2 * recoveryMs)
  assert.is(seen.get('watcher'), all)
  assert.is(seen.get('porch'), all)
  return stage.history
}

test('a partition and a crash take away what was said beyond them, and it comes back; a seed tells the same again', async () => {
  const history = await partitionAndCrash(7)
  assert.ok(history.length > 8, 'too little was seen to tell anything')
  assert.equal(await partitionAndCrash(7), history)
})

test.run()
