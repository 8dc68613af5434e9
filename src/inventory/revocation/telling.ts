import { z } from 'zod'
import { operator } from '../../commands/fields.ts'
import { framed, toBase64url, utf8 } from '../../commands/framing.ts'
import type { Federation } from '../../federation/federation.ts'
import { backoffMs } from '../../federation/limits.ts'
import type { Cancel, Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { ServerIdentity } from '../../ports/identity.ts'
import type { LogStore } from '../../ports/log-store.ts'
import type { DocumentId, OperatorId } from '../../ports/names.ts'
import type { Random } from '../../ports/random.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import { revokedMethod, signStatement } from './statement.ts'

/*
 * The home operator's side of a revocation: each of its servers tells the grantee, until one of the grantee's has taken it.
 *
 * What was ever shared with whom is remembered durably, from the grant on. So whoever is in that memory and no longer in the
 * document is to be told, however the grant went, whatever crashed in between, and for as long as it takes.
 */

export interface Telling {
  /** What a home document of this operator grants now, by grantee: the id of each grant, ended by time or not. */
  granted(home: DocumentId, grants: ReadonlyMap<OperatorId, string>): void
  /** Reads what was shared before; to be awaited before the documents are read. */
  start(): Promise<void>
  stop(): void
  /** A server of the operator can be reached. */
  linked(grantee: OperatorId): void
}

const prefix = 'shared/'
const shared = z.object({
  home: z.custom<DocumentId>(value => typeof value === 'string'),
  grantee: operator,
  /** The latest last. Who was away hears of the end of each: it may know an earlier one alone. */
  grants: z.array(z.string()),
})
/** Grants of one operator in one PN that it was not told the end of: more than anybody gives while it is away. */
const maxGrants = 256
const backoff = { minMs: 1_000, maxMs: 60_000 }

export function createTelling(options: {
  readonly identity: ServerIdentity
  readonly store: Pick<LogStore, 'localScan' | 'commit'>
  readonly federation: () => Pick<Federation, 'request'>
  readonly clock: Clock
  readonly random: Pick<Random, 'fraction'>
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly telemetry: Telemetry
}): Telling {
  const { identity, store, federation, clock, random, crypto, telemetry } = options
  /** With whom each document has been shared, under which grants, as far as they have not been told of their end. */
  const sharedWith = new Map<DocumentId, Map<OperatorId, readonly string[]>>()
  /** Of those, who has no grant any more: the documents, by grantee. */
  const owed = new Map<OperatorId, Set<DocumentId>>()
  const sending = new Set<OperatorId>()
  const failures = new Map<OperatorId, number>()
  const timers = new Map<OperatorId, Cancel>()
  let isRunning = false

  const keyOf = (home: DocumentId, grantee: OperatorId) =>
    `${prefix}${toBase64url(crypto.sha256(framed(home, grantee)))}`

  /** Failing to remember costs the notice, not the revocation: the grantee's replica then ends with its grant's time. */
  function remember(home: DocumentId, grantee: OperatorId, grants: readonly string[] | undefined): Promise<void> {
    const value = grants && utf8(JSON.stringify({ home, grantee, grants }))
    return store.commit({ documents: [], local: [{ key: keyOf(home, grantee), value }] }).catch(error => {
      telemetry.log('error', 'inventory.revocation.not-remembered', { document: home, message: String(error) })
    })
  }

  function later(grantee: OperatorId, delayMs: number): void {
    timers.get(grantee)?.()
    timers.delete(grantee)
    if (isRunning)
      timers.set(
        grantee,
        clock.after(delayMs, () => void tellAll(grantee)),
      )
  }

  async function tellAll(grantee: OperatorId): Promise<void> {
    if (sending.has(grantee)) return
    sending.add(grantee)
    try {
      for (const home of owed.get(grantee) ?? []) if (!isRunning || !(await tell(home, grantee))) break
    } catch (error) {
      telemetry.log('error', 'inventory.revocation.not-told', { operator: grantee, message: String(error) })
    }
    sending.delete(grantee)
    if (!owed.has(grantee)) {
      failures.delete(grantee)
      return
    }
    failures.set(grantee, (failures.get(grantee) ?? 0) + 1)
    later(grantee, backoffMs(failures.get(grantee) ?? 1, backoff, random.fraction()))
  }

  /** Answers whether it was taken, or need not be told any more. */
  async function tell(home: DocumentId, grantee: OperatorId): Promise<boolean> {
    for (const grant of sharedWith.get(home)?.get(grantee) ?? []) {
      const params = signStatement({ document: home, grantee, grant }, identity.server, identity.sign, crypto)
      const answer = await federation().request(grantee, { method: revokedMethod, params })
      if (!answer.ok) return false
      telemetry.log('info', 'inventory.revocation.told', { document: home, operator: grantee })
    }
    // Given anew meanwhile, it stays shared, under another grant.
    if (!owed.get(grantee)?.has(home)) return true
    forgive(home, grantee)
    sharedWith.get(home)?.delete(grantee)
    await remember(home, grantee, undefined)
    return true
  }

  function forgive(home: DocumentId, grantee: OperatorId): void {
    const theirs = owed.get(grantee)
    theirs?.delete(home)
    if (theirs?.size === 0) owed.delete(grantee)
  }

  return {
    granted(home, grants) {
      const before = sharedWith.get(home) ?? new Map<OperatorId, readonly string[]>()
      if (grants.size > 0) sharedWith.set(home, before)
      for (const [grantee, grant] of grants) {
        forgive(home, grantee)
        const known = before.get(grantee) ?? []
        if (known.includes(grant)) continue
        const grants = [...known, grant].slice(-maxGrants)
        before.set(grantee, grants)
        void remember(home, grantee, grants)
      }
      for (const grantee of before.keys()) {
        if (grants.has(grantee)) continue
        const theirs = owed.get(grantee) ?? new Set()
        if (theirs.has(home)) continue
        owed.set(grantee, theirs.add(home))
        later(grantee, 0)
      }
    },

    async start() {
      isRunning = true
      for await (const { key, value } of store.localScan(prefix)) {
        const { success, data } = shared.safeParse(JSON.parse(new TextDecoder().decode(value)))
        if (!success) telemetry.log('error', 'inventory.revocation.unreadable', { key })
        else sharedWith.set(data.home, (sharedWith.get(data.home) ?? new Map()).set(data.grantee, data.grants))
      }
    },

    stop() {
      isRunning = false
      for (const cancel of timers.values()) cancel()
      timers.clear()
    },

    linked(grantee) {
      if (owed.has(grantee)) later(grantee, backoff.minMs * random.fraction())
    },
  }
}
