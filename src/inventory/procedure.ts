import type { MethodSpec } from '../federation/command.ts'
import type { OperatorId } from '../ports/names.ts'
import type { Caller } from './authority.ts'
import type { NetworkDecision, NetworkState } from './networks.ts'
import type { Attempts } from './registration/attempts.ts'
import type { NetworkName, NetworkView } from './view.ts'

/** What every method says of itself: which PN it is about, and whose servers execute it. */
interface Routed<Params, Result> {
  readonly spec: MethodSpec<Params, Result>
  network(params: Params, caller: Caller): NetworkName
  /**
   * The operator whose servers execute this. Refuses what this server can tell to be refused, so that nothing is sent in
   * vain; the executing operator decides anew.
   * @throws {CommandRefused}
   */
  executor(params: Params, caller: Caller, view: NetworkView | undefined): OperatorId
  /**
   * Whether this operator vouches for the caller towards the executing one: then `executor` has refused whoever has no
   * business here. Without that, only a caller's own proof goes to another operator, never just its command.
   */
  readonly isVouchedFor?: true
  /** Whether it is also for who knows nothing of the PN, and whose operator need not hold anything of it, now or any more. */
  readonly isForStrangers?: true
  /** Whether it writes nothing. */
  readonly isQuery?: true
  /** Whether what a forwarded command rests on has arrived here: it may still be on its way when the command comes. */
  isReady?(params: Params, view: NetworkView | undefined): boolean
}

/** Something whose answer is not remembered. */
interface Unremembered {
  /**
   * Whether the result holds a secret, such as a content key: then it goes to the subscriber itself and nobody else; see
   * `secure/secret-results.ts`. Not for what is decided: answers to commands are kept on disk.
   */
  readonly secretResult?: true
}

/** A command with an id: one pure decision on one document. Repeated with its id, it gets the answer it got. */
export interface Decided<Params extends CommandFields, Result> extends Routed<Params, Result> {
  decide(params: Params, caller: Caller, state: NetworkState): NetworkDecision<Result>
}

export interface CommandFields {
  readonly commandId: string
  readonly time?: number | undefined
}

/** Something with waiting in it, which takes its turn in the PN's actor. */
export interface Flow<Params, Result> extends Routed<Params, Result>, Unremembered {
  perform(params: Params, caller: Caller, attempts: Attempts): Promise<Result>
}

/** Writes nothing and waits for no turn. */
export interface Query<Params, Result> extends Routed<Params, Result>, Unremembered {
  perform(params: Params, caller: Caller): Promise<Result>
}

/** Any of them, ready to be executed here. */
export interface Procedure<Params, Result> extends Routed<Params, Result>, Unremembered {
  execute(params: Params, caller: Caller): Promise<Result>
}
