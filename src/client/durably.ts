import type { MethodSpec } from '../federation/command.ts'
import { type DurabilityWish, type Durable, defaultReplicationMs, durable } from '../federation/durability.ts'

/**
 * The same command, answered when so many other servers of the operator that executes it hold what it has written, or the time
 * is up: `session.call(durably(messageDeposit, { replicated: 1 }), params)`. What it has written stands in either case; the
 * answer says who holds it, beside the result. Repeated with its id, it is executed once, and answers who holds it by then.
 */
export const durably = <P, R>(spec: MethodSpec<P, R>, durability: DurabilityWish): MethodSpec<P, Durable<R>> => ({
  method: spec.method,
  summary: spec.summary,
  params: spec.params,
  result: durable(spec.result),
  refusals: spec.refusals,
  durability,
})

/** How much longer a call may take for that, milliseconds. */
export const waitOf = ({ durability }: Pick<MethodSpec, 'durability'>): number =>
  durability ? (durability.timeoutMs ?? defaultReplicationMs) : 0

/** The parameters of a call, with what its method says of how durable it is to be. */
export const withDurability = (params: unknown, { durability }: Pick<MethodSpec, 'durability'>): unknown =>
  durability ? Object.assign({}, params, { durability }) : params
