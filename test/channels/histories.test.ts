/*
 * Proves: whatever servers do in between (die and come back, do not reach each other, nor the client), every message that was
 * answered with 201 or 202 comes to the application, once, though its sender repeats what it had no answer to, at any server; and
 * what one run of a server took, one after another, comes in that order. In the end all servers know that all was acknowledged.
 * Production nodes in the simulator; a history that fails is named by its seed.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Random } from '../../src/ports/random.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { type App, ChannelWorld } from './channel-world.ts'

const servers = ['a.example/1', 'a.example/2', 'a.example/3'] as const
const phone = 'phone-1'
const steps = 30
const test = suite('histories of channels')

interface Taken {
  readonly text: string
  readonly message: unknown
  /** The run of a server that took it; `undefined` if an attempt before, of which nothing was heard, may have been taken too. */
  readonly by: string | undefined
}

class History {
  readonly #channels: ChannelWorld
  readonly #app: App
  readonly #random: Random
  readonly taken: Taken[] = []

  constructor(channels: ChannelWorld, app: App, random: Random) {
    this.#channels = channels
    this.#app = app
    this.#random = random
  }

  #below = (bound: number): number => Math.floor(this.#random.fraction() * bound)
  #of = <T>(choices: readonly T[]): T => choices[this.#below(choices.length)] as T

  async step(number: number): Promise<void> {
    this.#strike()
    if (this.#below(3) > 0) await this.#send(`m${number}`)
    else await this.#channels.world.pass(this.#below(5_000))
  }

  /** Until it is answered, as an application server does; then the next one. */
  async #send(text: string): Promise<void> {
    const { world } = this.#channels
    for (let attempt = 1; ; attempt++) {
      const name = this.#of(servers)
      const run = `${name} run ${world.server(name).host.runs.length}`
      const answer = await this.#channels.post(this.#app, text, name, { key: text }).catch(() => undefined)
      // Now and then the answer does not come through.
      if (answer && answer.status < 300 && this.#below(5) > 0) {
        this.taken.push({ text, message: answer.body.message, by: attempt === 1 ? run : undefined })
        return
      }
      await world.pass(500)
    }
  }

  #strike(): void {
    const { world } = this.#channels
    const dice = this.#below(100)
    const ofPhone = servers.find(name => this.#isAt(name))
    const victim = this.#below(2) > 0 && ofPhone ? ofPhone : this.#of(servers)
    const others = servers.filter(server => server !== victim)
    if (dice < 18 && world.server(victim).node) world.crash(victim, 500 + this.#below(12_000))
    else if (dice < 30) world.partition([victim], others)
    else if (dice < 36) world.partition([victim], [...others, phone])
    else if (dice < 40) world.partition([victim, phone], others)
    else if (dice < 52) world.heal()
  }

  #isAt(name: string): boolean {
    const state = this.#app.session.state
    return state.kind === 'connected' && state.server === this.#channels.world.server(name).card.identity.server
  }
}

const seeds = [1, 4, 5, 6, 7, 8]

for (const seed of seeds) {
  test(`seed ${seed}`, async () => {
    const channels = await ChannelWorld.start(servers.length, {}, seed)
    const random = seededRandom(`histories of channels ${seed}`)
    const app = await channels.app('alice', [seed % 3, 0, 1, 2], {}, () => random.fraction() * 3_000)
    const history = new History(channels, app, random)
    for (let number = 0; number < steps; number++) await history.step(number)
    channels.world.heal()
    await channels.world.linked()
    const { taken } = history
    await channels.world.until(
      () => taken.every(({ text }) => app.texts.includes(text)),
      () => `all of ${taken.map(({ text }) => text)} are given, not ${app.texts}`,
    )
    for (const server of servers)
      for (const { message } of taken) await channels.isSaid(app, message, 'acknowledged', server)
    assert.equal([...app.texts].sort(), taken.map(({ text }) => text).sort(), 'once, and nothing else')
    for (const run of new Set(taken.map(({ by }) => by))) {
      if (run === undefined) continue
      const inOrder = taken.filter(({ by }) => by === run).map(({ text }) => text)
      const asGiven = app.texts.filter(text => inOrder.includes(text))
      assert.equal(asGiven, inOrder, `in the order of ${run}`)
    }
  })
}

test.run()
