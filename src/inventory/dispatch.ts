import { passOn } from '../commands/durably.ts'
import { isUnanswered, refusedBy } from '../commands/foreign-refusal.ts'
import { asJson } from '../commands/plain.ts'
import type { ProofCheck } from '../commands/proofs.ts'
import { asCommandRefusal } from '../commands/refusals.ts'
import { DocumentFull } from '../document/limits.ts'
import { type Command, type CommandOptions, CommandRefused, type Principal } from '../federation/command.ts'
import type { CommandAnswer, CommandProof, Federation, ForwardedCommand, Forwarder } from '../federation/federation.ts'
import type { Concern } from '../federation/lacking.ts'
import type { OperatorId } from '../ports/names.ts'
import type { Caller } from './authority.ts'
import type { Waiting } from './forwarding/waiting.ts'
import { homeDocument, type Networks } from './networks.ts'
import type { Procedure } from './procedure.ts'
import { refusals } from './refusals.ts'
import type { NetworkName, NetworkView } from './view.ts'

/*
 * Where a command goes: executed here, or forwarded to the operator that executes it; and what comes of the commands that
 * others forward to us. A forwarded command is never forwarded on. What cannot be sent now may be kept for later.
 */

export interface DispatchOptions {
  readonly self: OperatorId
  readonly networks: Networks
  readonly proofs: ProofCheck
  readonly replicaWaitMs: number
  /** Known once the federation was joined. */
  readonly federation: () => Federation
  readonly waiting: Waiting
  /** Whether this operator's grant in the PN was revoked, and nothing of the PN is held here any more. */
  readonly hasEnded: (name: NetworkName) => Promise<boolean>
}

/** The procedure as clients call it. */
export function commandOf<Params, Result>(
  procedure: Procedure<Params, Result>,
  options: DispatchOptions,
): Command<Params, Result> {
  const { self, networks, proofs, waiting } = options

  /** A PN of which nothing is held any more is not an unknown one. */
  async function known(name: NetworkName): Promise<NetworkView | undefined> {
    const view = await networks.view(name)
    if (!view && (await options.hasEnded(name))) throw refusals.grantEnded(self, name)
    return view
  }

  async function route(
    params: Params,
    principal: Principal,
    proof: CommandProof | undefined,
    given: CommandOptions,
  ): Promise<Result> {
    const caller: Caller = { kind: 'subscriber', principal }
    const name = procedure.network(params, caller)
    // A proof says where a command may be executed; it does not make this server the one that executes it.
    const carried = proof !== undefined && proof.executor !== self ? proof : undefined
    const view = carried || procedure.isForStrangers ? await networks.view(name) : await known(name)
    const executor = carried ? carried.executor : procedure.executor(params, caller, view)
    if (executor === self) return procedure.execute(params, caller)
    if (!carried && !procedure.isVouchedFor) {
      throw view || executor === principal.operator ? refusals.elsewhere(executor) : refusals.pnUnknown(name)
    }
    const { ifUnreachable, durability } = given
    const command = {
      method: procedure.spec.method,
      params: asJson(params),
      ...(carried && { proof: carried }),
      ...(durability && { durability }),
    }
    if (carried) await proofs.checkOwn(command, carried)
    const answer = await options.federation().request(executor, command)
    if (answer.ok) {
      passOn(answer, executor, given)
      return resultOf(answer.value, executor)
    }
    if (carried && ifUnreachable === 'wait' && isUnanswered(answer)) {
      const kept = await waiting.keep(principal, { ...command, proof: carried })
      if (kept.state === 'done') return resultOf(kept.result, executor)
    }
    throw refusedBy(answer)
  }

  function resultOf(value: unknown, executor: OperatorId): Result {
    const result = procedure.spec.result.safeParse(value)
    if (!result.success) throw refusals.badAnswer(executor)
    return result.data
  }

  return {
    spec: procedure.spec,
    execute: (params, principal, proof, how = {}) => route(params, principal, proof, how).catch(asRefusal),
    ...(!procedure.isQuery && {
      concern: (params, principal) => concernOf(procedure.network(params, { kind: 'subscriber', principal }), options),
    }),
  }
}

/** What this operator says of a PN stands in one document of its own. */
const concernOf = (name: NetworkName, { networks }: DispatchOptions): Concern => [networks.ownDocument(name)]

/** The procedure as other operators' servers call it. Refuses by throwing, as commands do. */
export function handlerOf<Params, Result>(
  { spec, network, executor, isReady, execute }: Procedure<Params, Result>,
  options: DispatchOptions,
): (command: ForwardedCommand, from: Forwarder) => Promise<CommandAnswer> {
  const { self, networks, proofs, replicaWaitMs } = options
  async function run(command: ForwardedCommand, from: Forwarder): Promise<CommandAnswer> {
    const parsed = spec.params.safeParse(command.params)
    if (!parsed.success) throw refusals.malformed(`The parameters of ${spec.method} are not what they should be.`)
    const params = parsed.data
    const caller: Caller = command.proof
      ? {
          kind: 'subscriber',
          principal: await proofs.check(command, command.proof, from.operator),
          provedUntil: command.proof.expires,
        }
      : { kind: 'operator', operator: from.operator }

    const name = network(params, caller)
    if (command.proof && command.proof.document !== homeDocument(name)) {
      throw refusals.proofRefused('is for another document')
    }
    const view = isReady
      ? await networks.settled(name, found => isReady(params, found), replicaWaitMs)
      : await networks.view(name)
    try {
      const by = executor(params, caller, view)
      if (by !== self) throw refusals.elsewhere(by)
      return { ok: true, value: asJson(await execute(params, caller)), concern: concernOf(name, options) }
    } catch (error) {
      throw isReady === undefined || isReady(params, view) ? error : unlessOnItsWay(error, name.home === self)
    }
  }

  return (command, from) => run(command, from).catch(asRefusal)
}

/**
 * Causes that may be no more than documents on their way: the forwarding server has them, or it would have refused itself.
 * The home operator has the last word on the PN and its grants; gateways and admissions others write too.
 */
const writtenByOthers = { home: ['GATEWAY_UNKNOWN', 'NOT_MEMBER'], visitor: ['PN_UNKNOWN', 'NO_GRANT'] } as const

/** Not for good, as long as the forwarding server still has what is missing here: when that hears otherwise, it says so. */
function unlessOnItsWay(error: unknown, isHome: boolean): unknown {
  const causes: readonly string[] = isHome
    ? writtenByOthers.home
    : [...writtenByOthers.home, ...writtenByOthers.visitor]
  return error instanceof CommandRefused && causes.includes(error.reason) ? refusals.notYet(error.message) : error
}

/** @throws what it was, or the refusal that says it to a client. */
export function asRefusal(error: unknown): never {
  if (error instanceof DocumentFull) throw refusals.full()
  return asCommandRefusal(error)
}
