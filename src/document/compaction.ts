import { type LogHead, type StoredEntry, storedEntry, type UnsealedEntry } from '../ports/log-store.ts'
import type { ServerId } from '../ports/names.ts'
import { beginLog, entryOverheadBytes, type OwnLog } from './append.ts'
import type { Content, Held, Place } from './content.ts'
import { packed, planCopy, type Receipts } from './copy-plan.ts'
import type { Version } from './documents.ts'
import { registerBytes } from './draft.ts'
import { encodeEntry, type Relied, type Superseded } from './entry.ts'
import { holds, settle, withHeads } from './ledger.ts'
import { decodeVersion, receiptServer } from './local-records.ts'
import type { LogExtent } from './register-updates.ts'
import type { DocumentsContext, Replica } from './replica.ts'
import { plain } from './update-items.ts'

/** A compaction that is durable now. */
export interface Compacted {
  readonly log: OwnLog
  readonly entries: readonly StoredEntry[]
  /** `undefined` when it is to be read anew. */
  readonly content: Content | undefined
  /** The Yjs updates of the entries. */
  readonly updates: readonly Uint8Array[]
  /** The logs that are gone. */
  readonly dropped: readonly LogExtent[]
}

/** What one more name takes in the entry that claims. */
const supersededBytes = 72
const reliedBytes = 40

type Copy = readonly [key: string, held: Held]

/**
 * Starts a new log with this server's live registers, and drops the logs that it takes the place of, in one commit.
 * Resolves with `undefined` if there is no such log.
 * @throws what the store throws; then the replica has forgotten ledger and content
 */
export async function compact(replica: Replica, context: DocumentsContext): Promise<Compacted | undefined> {
  const { identity, authorship, operator, limits } = context
  const content = await replica.loadContent()
  const ledger = await replica.loadLedger()
  const receipts = await readReceipts(replica, context)
  const servers = authorship.servers(operator)
  const plan = planCopy({
    ledger,
    held: content.view,
    isOtherHeldOutside: (key, register, logs) => content.isOtherHeldOutside(key, register, logs),
    self: identity.server,
    servers,
    receipts,
    isCaughtUp: context.isCaughtUp?.() ?? true,
    receiptsAreHere: servers.every(server => holds(ledger, receipts.get(server) ?? new Map())),
  })
  if (plan.logs.size === 0) return undefined

  const remaining = ledger.heads.filter(head => !plan.logs.has(head.log))
  const fresh = await replica.readContent(remaining)
  const own = beginLog(ledger, replica.document, context)
  const copy = new CopiedLog(own, fresh, replica, context)
  const claimBytes = plan.supersedes.length * supersededBytes + plan.after.length * reliedBytes
  const roomBytes = limits.maxEntryBytes - entryOverheadBytes - replica.document.length
  const entries = packed<Copy>(plan.registers, bytesOf, roomBytes - claimBytes)
  // A register may be too large to share an entry with the claim.
  if (sumOf(entries.at(-1) ?? []) > roomBytes - claimBytes) entries.push([])
  for (const registers of entries.slice(0, -1)) copy.add(registers, [], [])
  copy.add(entries.at(-1) ?? [], plan.supersedes, plan.after)

  const claim = {
    by: own.log,
    seq: copy.head.length - 1,
    supersedes: plan.supersedes,
    after: plan.after,
    believed: true,
  }
  const claims = [...ledger.claims.filter(({ by }) => !plan.logs.has(by)), claim]
  const next = withHeads({ heads: remaining, claims, epoch: ledger.epoch + 1 }, [copy.head])
  const settled = settle(next)
  const dropped = [...plan.logs, ...settled.dropped]
  const extents = dropped.map(each => content.extentOf(each))
  await replica.commit({
    ledger: settled.ledger,
    append: copy.entries,
    drop: dropped.map(each => ({ log: each, from: 0 })),
    local: [],
  })
  return {
    log: own,
    entries: copy.entries.map(storedEntry),
    content: settled.ledger.epoch > next.epoch ? undefined : fresh,
    updates: copy.updates,
    dropped: extents,
  }
}

const bytesOf = ([key, { register }]: Copy): number => registerBytes(key, register.value)
const sumOf = (registers: readonly Copy[]): number => registers.reduce((sum, copy) => sum + bytesOf(copy), 0)

async function readReceipts(replica: Replica, { store }: DocumentsContext): Promise<Receipts> {
  const receipts = new Map<ServerId, Version>()
  for await (const { key, value } of store.localScan(replica.keys.receipts))
    receipts.set(receiptServer(key), decodeVersion(value))
  return receipts
}

/** A new log, entry by entry, in memory. */
class CopiedLog {
  readonly entries: UnsealedEntry[] = []
  readonly updates: Uint8Array[] = []
  head: LogHead
  readonly #own: OwnLog
  readonly #content: Content
  readonly #replica: Replica
  readonly #context: DocumentsContext

  constructor(own: OwnLog, content: Content, replica: Replica, context: DocumentsContext) {
    this.#own = own
    this.#content = content
    this.#replica = replica
    this.#context = context
    const { server } = context.identity
    this.head = { log: own.log, server, length: 0, hash: new Uint8Array(0), bytes: 0, clock: 0 }
  }

  add(registers: readonly Copy[], supersedes: readonly Superseded[], after: readonly Relied[]): void {
    const { log, server, length: seq, hash: prev, bytes, clock } = this.head
    const { crypto, sealing } = this.#context
    const update = this.#write(registers, seq)
    const { document } = this.#replica
    const unsigned = encodeEntry(
      { document, log, server, seq, prev, update, supersedes, after },
      crypto,
      this.#own.names,
    )
    this.entries.push(sealing.add(unsigned))
    if (update.length > 0) this.updates.push(update)
    this.head = {
      log,
      server,
      length: seq + 1,
      hash: unsigned.hash,
      bytes: bytes + unsigned.size,
      clock: clock + registers.length,
    }
  }

  #write(registers: readonly Copy[], seq: number): Uint8Array {
    if (registers.length === 0) return new Uint8Array(0)
    const place: Place = { log: this.#own.log, seq, own: true, registerBytes: 0 }
    const changes = new Map<string, Held>()
    let { view } = this.#content
    for (const [key, { register }] of registers) {
      const copy = { register: plain(register), place }
      changes.set(key, copy)
      view = view.with(key, copy)
    }
    return this.#content.write(changes, view, place)
  }
}
