import { toBase64url } from '../../commands/framing.ts'
import { asJson } from '../../commands/plain.ts'
import { Allowances } from '../../federation/allowances.ts'
import type { CommandHandler, Federation } from '../../federation/federation.ts'
import type { Clock } from '../../ports/clock.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { Random } from '../../ports/random.ts'
import type { Grants } from '../entitlement.ts'
import type { Capabilities } from '../fields.ts'
import type { Inventory } from '../methods.ts'
import { homeDocument } from '../networks.ts'
import type { Notices } from '../notices/notices.ts'
import { refusals } from '../refusals.ts'
import { type CapabilitiesAnswerParams, capabilitiesAnswer, capabilitiesAsked } from './methods.ts'

export type InventoryGateway = Inventory['gateways'][number]

/** What came of asking gateways. */
export type Asked =
  | { readonly is: 'known'; readonly capabilities: Capabilities; readonly gatewayId: string }
  /** Every gateway that was asked says that the target is not beside it. */
  | { readonly is: 'unknown' }
  | { readonly is: 'late' }

interface Open {
  /** Gateways that have not answered. */
  readonly waiting: Map<string, InventoryGateway>
  readonly name: { readonly home: OperatorId; readonly pnId: string }
  settle(asked: Asked): void
}

export interface QuestionsOptions {
  readonly self: OperatorId
  readonly server: ServerId
  readonly grants: Pick<Grants, 'sharers'>
  readonly notices: Notices
  readonly federation: () => Federation
  readonly random: Random
  readonly clock: Clock
  readonly timeoutMs: number
}

/** Questions that wait for gateways here; each ends within `timeoutMs`. */
const maxOpen = 1_000
/** Answers of all servers of another operator. */
const answersPerSecond = 100
const answerBurst = 500
const answerMethod = 'server.capabilities'

/**
 * Questions to gateways, wherever they are attached. A question goes out as a notice; the gateway answers by a call to its
 * own server, which sends the answer to the server that asked. It counts only from the operator of a gateway that was asked.
 */
export class Questions {
  readonly #options: QuestionsOptions
  readonly #open = new Map<string, Open>()
  readonly #answers: Allowances

  constructor(options: QuestionsOptions) {
    this.#options = options
    this.#answers = new Allowances(options.clock, answersPerSecond, answerBurst)
  }

  join(federation: Federation): void {
    federation.handle(answerMethod, this.#forwarded)
  }

  /** @throws {CommandRefused} 503 when too many are open. */
  async ask(
    name: { readonly home: OperatorId; readonly pnId: string },
    target: { readonly operator: OperatorId; readonly targetId: string },
    gateways: readonly InventoryGateway[],
  ): Promise<Asked> {
    const { notices, random, clock, server, timeoutMs } = this.#options
    if (this.#open.size >= maxOpen) throw refusals.overloaded(timeoutMs)
    const queryId = toBase64url(random.bytes(16))
    const { promise, resolve } = Promise.withResolvers<Asked>()
    const waiting = new Map(gateways.map(gateway => [gatewayKey(gateway), gateway]))
    this.#open.set(queryId, { waiting, name, settle: resolve })
    const cancel = clock.after(timeoutMs, () => resolve({ is: 'late' }))
    for (const { operator, identity, gatewayId } of gateways) {
      notices.tell({ operator, identity }, capabilitiesAsked, { ...name, queryId, asker: server, ...target, gatewayId })
    }
    try {
      return await promise
    } finally {
      cancel()
      this.#open.delete(queryId)
    }
  }

  /** What a gateway of this operator answers: to be taken here, or sent to who asked. @throws {CommandRefused} */
  async answer(params: CapabilitiesAnswerParams): Promise<void> {
    const { self, server, federation, grants } = this.#options
    if (params.asker === server) return this.#take(params, self)
    // A gateway may name any server: what is none of this network hears nothing of it.
    const mayHear = [self, ...grants.sharers(homeDocument(params))].flatMap(operator => federation().linked(operator))
    const asker = mayHear.find(linked => linked === params.asker)
    if (!asker) throw refusals.askerUnreachable()
    const answer = await federation().requestAt(asker, { method: answerMethod, params: asJson(params) })
    if (!answer.ok) throw answer.status === 404 ? refusals.questionUnknown() : refusals.askerUnreachable()
  }

  readonly #forwarded: CommandHandler = async ({ params }, from) => {
    const waitMs = from.operator === this.#options.self ? 0 : this.#answers.take(from.operator)
    if (waitMs > 0) throw refusals.tooManyOfOperator(waitMs)
    const parsed = capabilitiesAnswer.params.safeParse(params)
    if (!parsed.success) throw refusals.malformed(`These are not the parameters of ${capabilitiesAnswer.method}.`)
    this.#take(parsed.data, from.operator)
    return { ok: true, value: {} }
  }

  /** @throws {CommandRefused} 404 when nobody asked, has asked others, or waits no longer. */
  #take({ home, pnId, queryId, gatewayId, capabilities }: CapabilitiesAnswerParams, operator: OperatorId): void {
    const open = this.#open.get(queryId)
    const isOf = open?.name.home === home && open.name.pnId === pnId
    if (!isOf || !open.waiting.delete(gatewayKey({ operator, gatewayId }))) throw refusals.questionUnknown()
    if (capabilities) open.settle({ is: 'known', capabilities, gatewayId })
    else if (open.waiting.size === 0) open.settle({ is: 'unknown' })
  }
}

const gatewayKey = ({ operator, gatewayId }: { readonly operator: OperatorId; readonly gatewayId: string }): string =>
  `${operator}/${gatewayId}`
