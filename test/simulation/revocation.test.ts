/*
 * Proves, for production nodes under virtual time: a server whose key its operator revokes has no link a second later, neither at
 * its own operator nor at others, also where the news has to pass a third; the same for an operator that is trusted no longer and for
 * one in quarantine. Nothing that it writes from then on is taken anywhere. What a retired server wrote stays, and is taken from
 * others by who has not seen it yet. Fails when a link, or a frame on it, survives the second.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import { encodeManifest, nextManifest, parseManifest, type SignedManifest } from '../../src/federation/manifest.ts'
import type { CpnsNode } from '../../src/node.ts'
import type { OperatorId, ServerId } from '../../src/ports/names.ts'
import { SimulatedFederation } from '../../src/simulation/federation/federation.ts'
import { World } from '../../src/simulation/world.ts'
import { production } from './production.ts'

/** In which all servers of an operator have a register each. */
const directory = asDocumentId('directory/b.example')

class Stage {
  readonly world: World
  readonly federation: SimulatedFederation

  private constructor(world: World, federation: SimulatedFederation) {
    this.world = world
    this.federation = federation
  }

  static async start(): Promise<Stage> {
    const world = new World({ seed: 1, production })
    const operators = [
      { name: 'a.example', servers: 1 },
      { name: 'b.example', servers: 3 },
      { name: 'c.example', servers: 1 },
    ]
    const stage = new Stage(world, await SimulatedFederation.create(world, { operators }))
    stage.federation.start()
    await stage.pass(5_000)
    return stage
  }

  async pass(durationMs: number): Promise<void> {
    const ending = await this.world.run({ untilUs: Math.round((this.world.nowMs + durationMs) * 1_000) })
    if (ending.kind === 'failed') throw ending.error
  }

  /** Acts within the simulation, now; its time passes as soon as the world is run. */
  act(action: () => Promise<unknown>): void {
    this.world.at(Math.ceil(this.world.nowMs), 'act', () => {
      action().catch((error: unknown) =>
        this.world.scheduler.fail(error instanceof Error ? error : new Error(`${error}`)),
      )
    })
  }

  node(host: string): CpnsNode {
    const { node } = this.federation.server(host)
    if (!node) throw new Error(`${host} does not run.`)
    return node
  }

  id(host: string): ServerId {
    return this.federation.server(host).card.identity.server
  }

  /** The next manifest of B. */
  next(change: (before: SignedManifest) => Parameters<typeof nextManifest>[1]): Uint8Array {
    const { world } = this
    const b = this.federation.operator('b.example')
    const crypto = world.cryptography.ofServer(world.random('test', 'signatures'))
    const rootKey = world.random('operator', b.id, 'root').bytes(32)
    const before = parseManifest(b.manifest)
    return encodeManifest(nextManifest(before, change(before), [rootKey], crypto, world.epochMs + world.nowMs))
  }

  /** The servers that a node is linked with, by name. */
  linksOf(host: string): string[] {
    const up = this.node(host)
      .federation.links()
      .filter(({ state }) => state === 'up')
    return this.federation.servers
      .filter(({ card }) => up.some(({ server }) => server === card.identity.server))
      .map(({ name }) => name)
      .sort()
  }

  say(host: string, key: string): void {
    this.act(() =>
      this.node(host).documents.write(directory, () => ({ writes: [{ key, value: 1 }], answer: undefined })),
    )
  }

  async keysAt(host: string): Promise<string[]> {
    let keys: string[] = []
    this.act(async () => {
      keys = [...(await this.node(host).documents.read(directory)).entries()].map(([key]) => key)
    })
    await this.pass(10)
    return keys
  }
}

const [a1, b1, b2, b3, c1] = ['a.example/1', 'b.example/1', 'b.example/2', 'b.example/3', 'c.example/1'] as const

test('a revoked server has no link a second later, and what it writes reaches nobody', async () => {
  const stage = await Stage.start()
  assert.equal(stage.linksOf(a1), [b1, b2, b3, c1])
  stage.say(b1, 'before')
  await stage.pass(1_000)
  assert.equal(await stage.keysAt(b2), ['before'])

  const revoked = stage.next(() => ({ revoked: [stage.id(b1)] }))
  stage.act(() => stage.node(c1).trust.offer([revoked], 'a file'))
  await stage.pass(1_000)
  for (const host of [a1, b2, b3, c1]) {
    assert.not(stage.linksOf(host).includes(b1), `${host} is linked with it`)
    assert.is(stage.node(host).trust.refuse(stage.id(b1)), 'revoked')
  }
  assert.equal(stage.linksOf(b1), [], 'itself has learnt it, or lost its links')
  stage.say(b1, 'after')
  await stage.pass(120_000)
  assert.equal(stage.linksOf(b1), [])
  assert.equal(await stage.keysAt(b2), ['before'])
  assert.equal(stage.linksOf(a1), [b2, b3, c1], 'the others go on')
})

test('a retired server has no link a second later; what it wrote is taken from others', async () => {
  const stage = await Stage.start()
  stage.federation.server(b3).crash({ of: 'process' })
  await stage.pass(1_000)
  stage.say(b1, 'before')
  await stage.pass(1_000)
  const without = stage.next(({ manifest: { servers } }) => ({
    servers: servers.filter(({ peerId }) => peerId !== stage.id(b1)),
  }))
  stage.act(() => stage.node(b2).trust.offer([without], 'a file'))
  await stage.pass(1_000)
  for (const host of [a1, b2, c1]) assert.not(stage.linksOf(host).includes(b1), `${host} is linked with it`)
  stage.federation.server(b3).start()
  await stage.pass(5_000)
  assert.equal(await stage.keysAt(b3), ['before'])
})

test('an operator that is trusted no longer, or in quarantine, has no link a second later', async () => {
  const stage = await Stage.start()
  const pins = new Map<OperatorId, string>()
  for (const { id, fingerprint } of stage.federation.operators) if (id !== 'b.example') pins.set(id, fingerprint)
  stage.act(() => stage.node(a1).trust.pin(pins))
  stage.act(() => stage.node(c1).quarantines.impose(stage.federation.operator('b.example').id, 'It floods.'))
  await stage.pass(1_000)
  assert.equal(stage.linksOf(a1), [c1])
  assert.equal(stage.linksOf(c1), [a1])
  for (const host of [b1, b2, b3]) assert.is(stage.linksOf(host).length, 2, 'its own alone')
  await stage.pass(60_000)
  assert.equal(stage.linksOf(a1), [c1])
  stage.act(() => stage.node(c1).quarantines.release(stage.federation.operator('b.example').id))
  await stage.pass(30_000)
  assert.equal(stage.linksOf(c1), [a1, b1, b2, b3])
})

test.run()
