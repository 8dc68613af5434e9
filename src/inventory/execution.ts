import serialize from 'canonicalize'
import { z } from 'zod'
import { framed, toBase64url, utf8 } from '../commands/framing.ts'
import type { Memory } from '../commands/memory.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { Caller } from './authority.ts'
import { createOnceOnly } from './forwarding/proved.ts'
import type { InventoryLimits } from './limits.ts'
import type { Networks } from './networks.ts'
import type { CommandFields, Decided, Flow, Procedure, Query } from './procedure.ts'
import { refusals } from './refusals.ts'
import type { Turns } from './turns.ts'

/** Makes procedures of what the methods' files say: in turn where it matters, once, remembered. */
export interface Execution {
  decided<Params extends CommandFields, Result>(decided: Decided<Params, Result>): Procedure<Params, Result>
  flow<Params, Result>(flow: Flow<Params, Result>): Procedure<Params, Result>
  query<Params, Result>(query: Query<Params, Result>): Procedure<Params, Result>
}

export function createExecution(options: {
  readonly networks: Networks
  readonly turns: Turns
  readonly memory: Memory
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly limits: InventoryLimits
}): Execution {
  const { networks, turns, memory, crypto, limits } = options
  const onceOnly = createOnceOnly(crypto)
  const digest = (value: unknown) => toBase64url(crypto.sha256(utf8(serialize(value) ?? '')))

  /** As long as a repetition may come. */
  const rememberedUntil = (caller: Caller, now: number): number =>
    Math.max(now + limits.memoryMs, caller.kind === 'subscriber' ? (caller.provedUntil ?? 0) : 0)

  return {
    decided(decided) {
      const { spec } = decided
      const remembered = z.object({ params: z.string(), answer: spec.result })
      return {
        ...decided,
        execute(params, caller) {
          const name = decided.network(params, caller)
          const names = [callerName(caller), spec.method, params.commandId]
          const given = digest(params)
          const place = memory.placeOf('command', names)

          return turns.share(name, spec.method, place, async () => {
            const before = await memory.recall(place, remembered)
            if (before && before.params !== given) throw refusals.commandReused()
            if (before) return async () => before.answer
            const write = await networks.writer(name)
            return () =>
              write(
                state => onceOnly(decided.decide(params, caller, state), caller, names, state.own, state.now),
                (answer, now) => [memory.note(place, { params: given, answer }, rememberedUntil(caller, now))],
              )
          })
        },
      }
    },

    flow: flow => ({
      ...flow,
      execute: (params, caller) =>
        turns.take(flow.network(params, caller), flow.spec.method, attempts => flow.perform(params, caller, attempts)),
    }),

    query: query => ({ ...query, isQuery: true, execute: query.perform }),
  }
}

/** Command ids are of whoever gave them: nobody learns another's answer by guessing an id. */
const callerName = (caller: Caller): string =>
  caller.kind === 'operator'
    ? `operator ${caller.operator}`
    : `subscriber ${caller.principal.operator} ${caller.principal.identity}`

/** A PN id for a PN whose founder gave none: the same for the same command, wherever it is executed. */
export const derivedPnId =
  (crypto: Pick<Crypto, 'sha256'>) =>
  (caller: Caller, commandId: string): string =>
    `pn-${toBase64url(crypto.sha256(framed(callerName(caller), commandId)).slice(0, 16))}`
