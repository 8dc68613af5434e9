import { RequestRefused } from '../../client/errors.ts'
import { isOpen } from '../../client/patience.ts'
import { gatewayAttach, type Inventory, pnInventory, pnUpdate } from '../../inventory/methods.ts'
import type { NetworkName } from '../../inventory/view.ts'
import type { SimulatedFederation } from '../federation/federation.ts'
import type { RandomStream } from '../random-streams.ts'
import { type BareDocument, type BareDocuments, WriterDied, WriterDown } from './bare-documents.ts'
import type { Population, SimulatedNetworkName } from './population.ts'
import type { Operation, Scenario, Workload } from './schema.ts'

/** What a client was told has happened. */
export type Acknowledged =
  | {
      readonly type: 'registered'
      readonly network: NetworkName
      readonly pne: string
      readonly operator: string
      readonly cpnsId: string
      readonly expires: number
    }
  | {
      readonly type: 'admitted'
      readonly network: NetworkName
      readonly pne: string
      readonly operator: string
      /** When it was asked for. */
      readonly sinceMs: number
    }

/** One operation, when it was over. */
export interface Outcome {
  readonly operation: Operation
  /** `ok`, `refused.<status>`, `open` (nobody knows whether it was done), `down` (the server to do it was) or `failed`. */
  readonly result: string
  readonly fromMs: number
  readonly untilMs: number
}

export interface WorkloadEvents {
  acknowledged(what: Acknowledged): void
  over(outcome: Outcome): void
  read(network: SimulatedNetworkName, inventory: Inventory): void
  /** A session key that a registration has made. */
  secret(bytes: Uint8Array): void
}

/** Lets clients do what the scenario says, through the SDK, as applications do. */
export class WorkloadDriver {
  /** Operations that are under way. */
  underWay = 0
  readonly #federation: SimulatedFederation
  readonly #population: Population
  readonly #bare: BareDocuments
  readonly #scenario: Scenario
  readonly #events: WorkloadEvents
  #isOver = false

  constructor(
    federation: SimulatedFederation,
    { population, bare }: { readonly population: Population; readonly bare: BareDocuments },
    scenario: Scenario,
    events: WorkloadEvents,
  ) {
    this.#federation = federation
    this.#population = population
    this.#bare = bare
    this.#scenario = scenario
    this.#events = events
  }

  begin(durationMs: number): void {
    const { world } = this.#federation
    const startMs = world.nowMs
    for (const [index, workload] of this.#scenario.workload.entries()) {
      const random = world.random('workload', index, workload.operation)
      const about = this.#about(workload, random)
      const fromMs = startMs + (workload.from ?? 0)
      const untilMs = startMs + Math.min(durationMs, workload.to ?? durationMs)
      const turn = { workload, about, untilMs }
      if (workload.rate !== undefined) this.#arrive(turn, { rate: workload.rate, random }, fromMs)
      for (let client = 0; client < (workload.closedLoop?.clients ?? 0); client++) {
        world.at(roundMs(fromMs), 'client', () => void this.#loop(turn, workload.closedLoop?.think ?? 0))
      }
    }
  }

  /** Begins nothing new; what is under way ends as it may. */
  end(): void {
    this.#isOver = true
  }

  /** Open loop: the next operation comes whatever became of the last. */
  #arrive(turn: Turn, arrivals: Arrivals, fromMs: number): void {
    const { rate, random } = arrivals
    const dueMs = roundMs(fromMs + (-Math.log(1 - random.fraction()) * 1_000) / rate)
    if (dueMs > turn.untilMs) return
    this.#federation.world.at(dueMs, 'operation', () => {
      if (this.#isOver) return
      void this.#perform(turn)
      this.#arrive(turn, arrivals, dueMs)
    })
  }

  async #loop(turn: Turn, thinkMs: number): Promise<void> {
    const { world } = this.#federation
    while (!this.#isOver && world.nowMs < turn.untilMs) {
      await this.#perform(turn)
      await new Promise<void>(resolve => world.at(roundMs(world.nowMs + Math.max(1, thinkMs)), 'think', resolve))
    }
  }

  /** What an operation does each time: all of it is drawn before it waits for anything, so that no answer shifts a later draw. */
  #about(workload: Workload, random: RandomStream): () => Promise<void> {
    const { operation } = workload
    if (operation === 'write') {
      const choose = chooser<BareDocument>(this.#bare.all, workload, random)
      return () => this.#bare.write(choose(), random)
    }
    const choose = chooser<SimulatedNetworkName>(this.#population.networks, workload, random)
    return () => this.#operation(operation, choose(), random)
  }

  async #perform({ workload, about }: Turn): Promise<void> {
    const { world } = this.#federation
    const { operation } = workload
    const fromMs = world.nowMs
    this.underWay += 1
    const result = await about().then(
      () => 'ok',
      (error: unknown) => this.#resultOf(error),
    )
    this.underWay -= 1
    this.#events.over({ operation, result, fromMs, untilMs: world.nowMs })
  }

  #resultOf(error: unknown): string {
    if (error instanceof RequestRefused) return `refused.${error.status}`
    if (isOpen(error) || error instanceof WriterDied) return 'open'
    if (error instanceof WriterDown) return 'down'
    return `failed.${error instanceof Error ? error.name : 'unknown'}`
  }

  async #operation(
    operation: Exclude<Operation, 'write'>,
    network: SimulatedNetworkName,
    random: RandomStream,
  ): Promise<void> {
    const population = this.#population
    const { home, pnId, owner, gateways } = network
    const name = { home: home.id, pnId }
    const gateway = random.pick(gateways)
    const operator = random.pick(population.participants(network))
    const pne = population.element(network, operator, random.below(this.#scenario.networks.elements))
    const grantee = network.grantees.length > 0 ? random.pick(network.grantees) : undefined
    const events = this.#events
    switch (operation) {
      case 'register': {
        if (!gateway.door) return
        const { cpnsId, expires, sessionKey } = await population.register(network, gateway.door, pne)
        events.secret(sessionKey)
        events.acknowledged({
          type: 'registered',
          network: name,
          pne: pne.pneId,
          operator: pne.operator,
          cpnsId,
          expires,
        })
        return
      }
      case 'add':
      case 'remove': {
        const commandId = population.commandId()
        const sinceMs = this.#federation.world.nowMs
        await owner.insist(pnUpdate, { commandId, ...name, operation, pnes: [pne] })
        if (operation === 'add')
          events.acknowledged({ type: 'admitted', network: name, pne: pne.pneId, operator: pne.operator, sinceMs })
        return
      }
      case 'inventory':
        events.read(network, await random.pick([owner, gateway.client]).insist(pnInventory, name))
        return
      case 'attach': {
        const { client, gatewayId } = gateway
        await client.insist(gatewayAttach, { commandId: population.commandId(), ...name, gatewayId })
        return
      }
      case 'grant':
      case 'revoke':
        if (grantee) await population.grant(network, grantee, operation === 'grant' ? undefined : [])
    }
  }
}

interface Turn {
  readonly workload: Workload
  readonly about: () => Promise<void>
  readonly untilMs: number
}

/** When operations come, of themselves. */
interface Arrivals {
  readonly rate: number
  readonly random: RandomStream
}

/** Draws networks: each as likely as the others, or by Zipf's law, the first the most popular. */
function chooser<T>(items: readonly T[], { keys }: Workload, random: RandomStream): () => T {
  if (keys.dist === 'uniform') return () => random.pick(items)
  const weights = items.map((_, rank) => 1 / (rank + 1) ** keys.exponent)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return () => {
    let left = random.fraction() * total
    const at = weights.findIndex(weight => {
      left -= weight
      return left < 0
    })
    return items[at < 0 ? items.length - 1 : at] as T
  }
}

const roundMs = (ms: number): number => Math.round(ms * 1000) / 1000
