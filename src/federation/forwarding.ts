import type { Clock } from '../ports/clock.ts'
import type { OperatorId, ServerId } from '../ports/names.ts'
import type { PeerNetwork } from '../ports/peer-network.ts'
import type { Random } from '../ports/random.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { CommandAnswer, CommandHandler, Federation, ForwardedCommand } from './federation.ts'
import type { Peers } from './peers.ts'
import type { Reductions } from './reductions.ts'
import { refusal, sendRequest } from './requests.ts'
import type { Trust } from './trust.ts'

export interface ForwardingOptions {
  readonly operator: OperatorId
  readonly self: ServerId
  readonly trust: Trust
  readonly peers: Peers
  /** What other operators' servers want kept back. */
  readonly reductions: Reductions
  /** What this operator executes itself, by method. */
  readonly handlers: ReadonlyMap<string, CommandHandler>
  readonly network: PeerNetwork
  readonly timeoutMs: number
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Pick<Telemetry, 'count' | 'spans'>
}

/** Has commands executed by other operators: at whichever of their servers can be reached, or at a certain one. */
export function createForwarding(options: ForwardingOptions): Pick<Federation, 'request' | 'requestAt'> {
  const { operator, self, trust, peers, reductions, handlers, network, timeoutMs, clock, random, telemetry } = options

  async function request(to: OperatorId, command: ForwardedCommand): Promise<CommandAnswer> {
    if (to === operator) {
      const handler = handlers.get(command.method)
      return handler ? handler(command, { operator, server: self }) : refusal(404, `There is no ${command.method}.`)
    }
    if (trust.isQuarantined(to)) return quarantined(to)
    if (!trust.isValid(to)) {
      return refusal(403, `${to} is not trusted here: its manifest is missing or has expired.`, 'OPERATOR_NOT_TRUSTED')
    }
    const deadlineMs = clock.elapsed() + timeoutMs
    let soonestMs = Number.POSITIVE_INFINITY
    for (const server of shuffled(peers.up(to))) {
      const keptBackMs = reductions.keptBackMs(server)
      if (keptBackMs > 0) {
        soonestMs = Math.min(soonestMs, keptBackMs)
        continue
      }
      const leftMs = deadlineMs - clock.elapsed()
      if (leftMs <= 0) return refusal(504, `${to} did not answer within ${timeoutMs} ms.`)
      const sent = await send(server, command, leftMs)
      if (sent.type === 'answered') return sent.answer
    }
    if (soonestMs < Number.POSITIVE_INFINITY) {
      telemetry.count('cpns_requests_kept_back_total', { operator: to })
      const overloaded = refusal(503, `${to} has too much to do, and asked for fewer requests; repeat this one later.`)
      return { ...overloaded, retryAfterMs: Math.ceil(soonestMs) }
    }
    return refusal(423, `No server of ${to} can be reached; try again when the link is back.`)
  }

  async function send(server: ServerId, command: ForwardedCommand, leftMs: number) {
    const span = telemetry.spans?.begin('request.sent', { server }, { method: command.method })
    const sent = await sendRequest(server, command, leftMs, { network, clock })
    span?.end(sent.type !== 'answered' ? sent.type : sent.answer.ok ? 'ok' : String(sent.answer.status))
    return sent
  }

  async function requestAt(server: ServerId, command: ForwardedCommand): Promise<CommandAnswer> {
    const isUp = peers.stateOf(server) === 'up'
    const of = trust.operatorsOf(server).find(trust.isQuarantined)
    if (!isUp && of !== undefined) return quarantined(of)
    const sent = isUp && (await send(server, command, timeoutMs))
    if (sent && sent.type === 'answered') return sent.answer
    return refusal(423, `There is no link to ${server} now.`)
  }

  const quarantined = (of: OperatorId): CommandAnswer =>
    refusal(
      403,
      `${of} is in quarantine at ${operator}: nothing is sent to it, or taken from it, until it is released.`,
      'OPERATOR_QUARANTINED',
    )

  /** So that the servers of an operator share what is asked of it. */
  function shuffled(servers: readonly ServerId[]): ServerId[] {
    const keyed = servers.map(server => ({ server, key: random.fraction() }))
    return keyed.sort((a, b) => a.key - b.key).map(({ server }) => server)
  }

  return { request, requestAt }
}
