import { framed, toBase64url } from '../../commands/framing.ts'
import type { Registers } from '../../document/documents.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { Caller } from '../authority.ts'
import type { NetworkDecision } from '../networks.ts'
import { refusals } from '../refusals.ts'

/*
 * Proved commands are executed once, at whichever server of the operator they arrive, as long as their proof is good.
 *
 * The server that executed one remembers the answer; the others have the document only. There a repetition writes at its
 * own stamp and loses to what came later, with one exception: where a later command has removed a register, and compaction
 * has left the mark out, nothing is there any more for it to lose to. So what a proved command writes comes with a register
 * that names the command, in the same entry. Where that register is, all that the command wrote has been; whatever a
 * repetition would still write has been overtaken.
 */

const prefix = 'proved/'
/** Registers of proofs that have long expired go as new ones come, so that no command pays for all before it. */
const maxCleared = 8
/** The clocks of an operator's servers may differ by so much. */
const graceMs = 3_600_000

export type OnceOnly = <T>(
  decision: NetworkDecision<T>,
  caller: Caller,
  names: readonly string[],
  own: Registers,
  now: number,
) => NetworkDecision<T>

/** @throws {CommandRefused} 409 OVERTAKEN, from what it returns, for a repetition that would write something. */
export const createOnceOnly =
  (crypto: Pick<Crypto, 'sha256'>): OnceOnly =>
  (decision, caller, names, own, now) => {
    if (caller.kind !== 'subscriber' || caller.provedUntil === undefined || decision.writes.length === 0)
      return decision
    const key = `${prefix}${toBase64url(crypto.sha256(framed(...names)).slice(0, 16))}`
    if (own.get(key)) throw refusals.overtaken(decision.writes.map(write => write.key))
    const note = { key, value: caller.provedUntil }
    return { ...decision, writes: [...decision.writes, note, ...expired(own, now)] }
  }

function expired(own: Registers, now: number) {
  const keys: string[] = []
  for (const [key, { value }] of own.entries(prefix)) {
    if (typeof value === 'number' && value + graceMs <= now) keys.push(key)
    if (keys.length >= maxCleared) break
  }
  return keys.map(key => ({ key, value: null }))
}
