import { z } from 'zod'
import { framed, toBase64url, utf8 } from '../../commands/framing.ts'
import type { Json } from '../../document/documents.ts'
import type { Principal } from '../../federation/command.ts'
import type { CommandProof, ForwardedCommand } from '../../federation/federation.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { LogStore } from '../../ports/log-store.ts'
import type { OperatorId } from '../../ports/names.ts'
import type { Telemetry } from '../../ports/telemetry.ts'

/*
 * The commands that wait for their operator, and what became of those that waited: records of this server alone, never
 * replicated. In memory stands what is needed to find them; what they say is read when it is needed.
 */

export type ProvedCommand = ForwardedCommand & { readonly proof: CommandProof }

export type Settled =
  | { readonly state: 'done'; readonly result: unknown }
  | {
      readonly state: 'refused'
      readonly refusal: { readonly status: number; readonly reason: string; readonly message: string }
    }

/** One command of one subscriber. */
export interface Kept {
  readonly key: string
  readonly principal: Principal
  readonly commandId: string
  readonly method: string
  readonly executor: OperatorId
  /** SHA-256 of method and parameters, base64url: by it a repetition is known. */
  readonly digest: string
  /** When it was kept, and when it was settled: the order in which they are sent, and forgotten. */
  readonly since: number
  /** Pending: the proof's. Settled: until when the outcome is remembered. */
  readonly expires: number
  readonly state: 'pending' | Settled['state']
}

export interface KeptCommands {
  /** Reads what was kept before; to be awaited first. */
  load(): Promise<void>
  find(principal: Principal, commandId: string): Kept | undefined
  /** Those that wait for this operator, in the order in which they were given. */
  pendingAt(executor: OperatorId): readonly Kept[]
  executors(): ReadonlySet<OperatorId>
  /** Pending ones: in all, and of one subscriber. */
  count(principal?: Principal): number
  /** Resolves when it is durable. @throws what the store throws; then it is not kept */
  add(kept: Omit<Kept, 'key' | 'state'>, command: ProvedCommand): Promise<void>
  command(kept: Kept): Promise<ProvedCommand | undefined>
  /** Resolves when the outcome is durable. The oldest outcomes beyond the limits are forgotten. */
  settle(kept: Kept, outcome: Settled, now: number): Promise<void>
  outcome(kept: Kept): Promise<Settled | undefined>
  /** Forgets the outcomes that have had their time. */
  sweep(now: number): Promise<void>
}

export interface KeptLimits {
  /** How long an outcome is remembered. */
  readonly outcomeMs: number
  /** Outcomes remembered, of one subscriber and in all. */
  readonly maxOutcomesEach: number
  readonly maxOutcomes: number
}

const prefix = 'waiting/'
const principal = z.custom<Principal>(
  value => z.object({ operator: z.string(), identity: z.string() }).safeParse(value).success,
)
const settled = z.discriminatedUnion('state', [
  z.object({ state: z.literal('done'), result: z.unknown() }),
  z.object({
    state: z.literal('refused'),
    refusal: z.object({ status: z.number(), reason: z.string(), message: z.string() }),
  }),
])
/** What this server itself has written; the store proves that nobody else did. */
const record = z.object({
  principal,
  commandId: z.string(),
  method: z.string(),
  executor: z.custom<OperatorId>(value => typeof value === 'string'),
  digest: z.string(),
  since: z.number(),
  expires: z.number(),
  command: z.custom<ProvedCommand>(value => typeof value === 'object').optional(),
  outcome: settled.optional(),
})

export const digestOfCommand = (
  crypto: Pick<Crypto, 'sha256'>,
  { method, params }: { readonly method: string; readonly params: Json },
): string => toBase64url(crypto.sha256(framed(method, JSON.stringify(params))))

export function createKeptCommands(options: {
  readonly store: Pick<LogStore, 'local' | 'localScan' | 'commit'>
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly telemetry: Telemetry
  readonly limits: KeptLimits
}): KeptCommands {
  const { store, crypto, telemetry, limits } = options
  const all = new Map<string, Kept>()
  /** Per subscriber, since it is asked for at every command. */
  const pendingOf = new Map<string, number>()
  /** Settled ones, the oldest first: of each subscriber, and of all. */
  const settledOf = new Map<string, Set<Kept>>()
  const allSettled = new Set<Kept>()
  let pending = 0

  const keyOf = ({ operator, identity }: Principal, commandId: string): string =>
    `${prefix}${toBase64url(crypto.sha256(framed(operator, identity, commandId)))}`

  function enter(kept: Kept): void {
    leave(kept.key)
    all.set(kept.key, kept)
    const who = subscriberOf(kept.principal)
    if (kept.state === 'pending') {
      pending += 1
      pendingOf.set(who, (pendingOf.get(who) ?? 0) + 1)
      return
    }
    allSettled.add(kept)
    const theirs = settledOf.get(who) ?? new Set()
    settledOf.set(who, theirs.add(kept))
  }

  function leave(key: string): void {
    const kept = all.get(key)
    if (!kept) return
    all.delete(key)
    const who = subscriberOf(kept.principal)
    if (kept.state === 'pending') {
      pending -= 1
      const left = (pendingOf.get(who) ?? 1) - 1
      if (left > 0) pendingOf.set(who, left)
      else pendingOf.delete(who)
      return
    }
    allSettled.delete(kept)
    const theirs = settledOf.get(who)
    theirs?.delete(kept)
    if (theirs?.size === 0) settledOf.delete(who)
  }

  async function write(kept: Kept, more: { readonly command: ProvedCommand } | { readonly outcome: Settled }) {
    const { key, state, ...fields } = kept
    const value = utf8(JSON.stringify({ ...fields, ...more }))
    await store.commit({ documents: [], local: [{ key, value }] })
  }

  async function forget(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return
    await store.commit({ documents: [], local: keys.map(key => ({ key, value: undefined })) })
    for (const key of keys) leave(key)
  }

  async function read(key: string): Promise<z.infer<typeof record> | undefined> {
    const bytes = await store.local(key)
    return bytes && parsed(bytes)
  }

  return {
    async load() {
      const found: Kept[] = []
      for await (const { key, value } of store.localScan(prefix)) {
        const stored = parsed(value)
        if (!stored) {
          telemetry.log('error', 'inventory.waiting.unreadable', { key })
          continue
        }
        const { command, outcome, ...fields } = stored
        found.push({ ...fields, key, state: outcome?.state ?? 'pending' })
      }
      for (const kept of found.sort((a, b) => a.since - b.since)) enter(kept)
    },

    find: (principal, commandId) => all.get(keyOf(principal, commandId)),
    pendingAt: executor => [...all.values()].filter(kept => kept.state === 'pending' && kept.executor === executor),
    executors: () =>
      new Set([...all.values()].flatMap(({ state, executor }) => (state === 'pending' ? [executor] : []))),
    count: principal => (principal ? (pendingOf.get(subscriberOf(principal)) ?? 0) : pending),

    async add(fields, command) {
      const kept: Kept = { ...fields, key: keyOf(fields.principal, fields.commandId), state: 'pending' }
      // Counted before it is stored, or many at once would pass the limits.
      enter(kept)
      try {
        await write(kept, { command })
      } catch (error) {
        leave(kept.key)
        throw error
      }
    },

    command: async ({ key }) => (await read(key))?.command,

    async settle(kept, outcome, now) {
      const after: Kept = { ...kept, state: outcome.state, since: now, expires: now + limits.outcomeMs }
      await write(after, { outcome })
      enter(after)
      const [oldestOfTheirs] = settledOf.get(subscriberOf(kept.principal)) ?? []
      const [oldest] = allSettled
      const isTooMuch = (settledOf.get(subscriberOf(kept.principal))?.size ?? 0) > limits.maxOutcomesEach
      if (isTooMuch && oldestOfTheirs) await forget([oldestOfTheirs.key])
      else if (allSettled.size > limits.maxOutcomes && oldest) await forget([oldest.key])
    },

    outcome: async ({ key }) => (await read(key))?.outcome,

    async sweep(now) {
      const over: string[] = []
      for (const { key, expires } of allSettled) if (expires <= now) over.push(key)
      await forget(over)
    },
  }
}

function parsed(bytes: Uint8Array): z.infer<typeof record> | undefined {
  const { success, data } = record.safeParse(JSON.parse(new TextDecoder().decode(bytes)))
  return success ? data : undefined
}

const subscriberOf = ({ operator, identity }: Principal): string => `${operator} ${identity}`
