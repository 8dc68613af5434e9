import type { TraceEvent } from '../../actor/types.ts'
import type { Register } from '../../document/documents.ts'
import { documentId } from '../../document/names.ts'
import { keys } from '../../inventory/records.ts'
import type { CpnsNode } from '../../node.ts'
import type { DocumentId, LogId, OperatorId } from '../../ports/names.ts'
import type { SimulatedFederation } from '../federation/federation.ts'
import type { SimulatedServer } from '../federation/server.ts'
import type { Death } from '../host.ts'
import type { LogLine } from '../telemetry.ts'
import type { Contents } from './invariants.ts'
import { Readers } from './readers.ts'
import { readDisk } from './replicas.ts'
import { Secrets } from './secrets.ts'
import type { Acknowledged } from './workload.ts'
import { Written, type WrittenRegister } from './written.ts'

/** The kernel's default, doubled: timers of an actor's own come on top of its mailbox. */
const mailboxBound = 2_048

/** Log events that no fault of a scenario explains: every server is honest, and every bug shows. */
const neverExpected = new Set([
  'document.equivocation',
  'trust.equivocation',
  'document.listener-failed',
  'document.observer-failed',
])
/** Refusals of entries among honest servers that no fault explains. */
const suspiciousRefusals = new Set([
  'malformed',
  'not-the-owner',
  'wrong-document',
  'bad-signature',
  'bad-update',
  'client-clash',
  'equivocation',
  'forked',
])

/** Something that must not have happened, and did. */
export type Alarm = (
  invariant: 'no-actor-errors' | 'no-secrets' | 'bounded-mailboxes' | 'own-stamps',
  what: string,
) => void

/** What goes wrong in a scenario, and explains what is seen. */
export interface Expected {
  /** Disks refuse, or do not confirm. */
  readonly isDiskFaulty: boolean
  /** Operators that do harm. */
  readonly hostile: ReadonlySet<string>
}

/** All that is remembered of a run in order to judge it. Only looks on: nothing here acts on the simulation. */
export class Observations {
  readonly written: Written
  readonly secrets = new Secrets()
  readonly readers: Readers
  /** From a server's own commit until another server had it, milliseconds. */
  readonly visibilityMs: number[] = []
  peakMailbox = 0
  overflows = 0
  readonly #federation: SimulatedFederation
  readonly #alarm: Alarm
  readonly #isDiskFaulty: boolean
  readonly #hostile: ReadonlySet<string>
  readonly #survived = new Map<DocumentId, Map<LogId, number>>()
  readonly #committedMs = new Map<string, number>()
  readonly #unfounded: { readonly what: Acknowledged; readonly document: DocumentId }[] = []
  readonly #mailboxes = new Map<string, number>()
  #disksLost = 0

  constructor(federation: SimulatedFederation, alarm: Alarm, expected: Expected) {
    this.#federation = federation
    this.#alarm = alarm
    this.#isDiskFaulty = expected.isDiskFaulty
    this.#hostile = expected.hostile
    this.written = new Written(() => federation.world.nowMs)
    this.readers = new Readers(federation)
    for (const operator of federation.operators) for (const secret of operator.secretBytes()) this.secrets.add(secret)
  }

  /** A node is about to serve. */
  made(server: SimulatedServer, { documents }: CpnsNode): void {
    void this.#found(server)
    documents.subscribe(notice => {
      const registers = this.written.took(notice)
      if (notice.source === 'own') this.#stamped(server, registers)
      if (!notice.index) void this.#lost(server, [notice.document])
      for (const { log, seq } of notice.entries) {
        const entry = `${notice.document} ${log} ${seq}`
        if (notice.source === 'own') this.#committedMs.set(entry, this.#federation.world.nowMs)
        else {
          const committedMs = this.#committedMs.get(entry)
          if (committedMs !== undefined) this.visibilityMs.push(this.#federation.world.nowMs - committedMs)
        }
      }
    })
  }

  /** What its run before had made durable, and did not live to tell: it is shown from now on, and may be compacted at once. */
  async #found(server: SimulatedServer): Promise<void> {
    const disk = await readDisk(server, this.#federation.world.production)
    for (const [document, index] of disk.indexes) {
      const lengths = new Map(index.heads.map(({ log, length }) => [log, length]))
      const entries = await disk.entries(document)
      this.written.took({ document, entries: entries.filter(({ log, seq }) => seq < (lengths.get(log) ?? 0)) })
    }
  }

  /** Compaction copies registers with the stamps that they have: those were written before. */
  #stamped(server: SimulatedServer, registers: readonly WrittenRegister[]): void {
    const { identity } = server.card
    for (const written of registers) {
      const { register } = written
      if (register.server !== identity.server || this.written.isCopy(written)) continue
      const wrong = this.written.wrongStamp(written, server.host.clock.latestMs)
      if (wrong !== undefined) this.#alarm('own-stamps', `${server.name} wrote ${wrong}`)
    }
  }

  /** A disk is about to be lost, or set back. */
  async crashing(server: SimulatedServer, death: Death): Promise<void> {
    if (death.of !== 'machine' || (death.disk.kind !== 'lose' && death.disk.kind !== 'restore')) return
    this.#disksLost += 1
    await this.#lost(server, [...this.written.documents()])
  }

  /** A server holds documents no longer: what nobody else holds may be gone, and nobody is to blame. */
  async #lost(server: SimulatedServer, documents: readonly DocumentId[]): Promise<void> {
    const { servers, world } = this.#federation
    // What only a disk holds that cannot be relied on may be gone with it.
    const others = servers.filter(other => other !== server && !other.isRotten)
    const disks = await Promise.all(others.map(other => readDisk(other, world.production)))
    for (const document of documents) {
      const held = new Map<LogId, number>()
      const note = (log: LogId, length: number) => held.set(log, Math.max(length, held.get(log) ?? 0))
      for (const { indexes } of disks) {
        for (const { log, length } of indexes.get(document)?.heads ?? []) note(log, length)
        for (const { log, seq } of indexes.get(document)?.superseded ?? []) note(log, seq + 1)
      }
      const survived = this.#survived.get(document) ?? new Map<LogId, number>()
      for (const { log, seq } of this.written.registers(document)) {
        const length = held.get(log) ?? 0
        if (seq >= length) survived.set(log, Math.min(length, survived.get(log) ?? Number.POSITIVE_INFINITY))
      }
      this.#survived.set(document, survived)
    }
  }

  /** Whether what was written may have been lost with a disk. */
  readonly doubtful = ({ document, log, seq }: WrittenRegister): boolean =>
    seq >= (this.#survived.get(document)?.get(log) ?? Number.POSITIVE_INFINITY)

  /** Whether what was shown was lost with the only disks that held it, wherever it was written. */
  isLost(document: DocumentId, key: string, register: Register): boolean {
    const writings = [...this.written.writingsOf(document, key, register)]
    return writings.length > 0 && writings.every(this.doubtful)
  }

  /** A client was told that something has happened: a server has shown it as durable by now. */
  acknowledged(what: Acknowledged): void {
    const { home, pnId } = what.network
    const owner = what.operator as OperatorId
    const document =
      what.type === 'admitted' || owner === home
        ? documentId({ kind: 'pn', owner: home, pnId })
        : documentId({ kind: 'visit', owner, home, pnId })
    if (!this.#isWritten(document, what)) this.#unfounded.push({ what, document })
  }

  #isWritten(document: DocumentId, what: Acknowledged): boolean {
    for (const written of this.written.registers(document)) {
      if (says(what, written.key, written.register.value) || wasRemovedAtOnce(what, written)) return true
    }
    return false
  }

  /** Acknowledgements of what no server has shown, and no owner's server holds. A crash may come between the two. */
  unfounded(held: Contents): string[] {
    if (this.#disksLost > 0) return []
    return this.#unfounded.flatMap(({ what, document }) => {
      const isThere = [...held.values()].some(contents =>
        [...(contents.get(document)?.entries() ?? [])].some(([key, { value }]) => says(what, key, value)),
      )
      return isThere || this.#isWritten(document, what)
        ? []
        : [`${what.operator}/${what.pne} was ${what.type} in ${document}, but no server ever held that`]
    })
  }

  logged({ host, event, level, fields }: LogLine): void {
    if (this.secrets.isInFields(fields)) this.#alarm('no-secrets', `${host} logged a secret in ${event}`)
    const told = `${host}: ${event} ${JSON.stringify(fields)}`
    if (event === 'actor.failed' && !this.#isDiskFaulty) this.#alarm('no-actor-errors', told)
    if (level === 'error' && event === 'command.failed' && !this.#isDiskFaulty) this.#alarm('no-actor-errors', told)
    if (this.#isHarm(fields)) return
    if (neverExpected.has(event)) this.#alarm('no-actor-errors', told)
    if (event === 'entries.refused' && suspiciousRefusals.has(String(fields.reason)))
      this.#alarm('no-actor-errors', told)
  }

  /** Whether what was refused, or found to be forged, is of an operator that does harm, or came from its servers: it was to be. */
  #isHarm({ document, peer }: LogLine['fields']): boolean {
    if (this.#hostile.size === 0) return false
    if (typeof document === 'string' && this.#hostile.has(document.split('/')[1] ?? '')) return true
    const server = this.#federation.servers.find(({ card }) => card.identity.server === peer)
    return server !== undefined && this.#hostile.has(server.operator.id)
  }

  /** An actor of a server's. */
  actor({ name, host }: SimulatedServer, { actor, kind, reason }: TraceEvent): void {
    const mailbox = `${name} ${host.runs.length} ${actor}`
    const depth = this.#mailboxes.get(mailbox) ?? 0
    if (kind === 'sent') {
      this.#mailboxes.set(mailbox, depth + 1)
      this.peakMailbox = Math.max(this.peakMailbox, depth + 1)
      if (depth + 1 === mailboxBound) this.#alarm('bounded-mailboxes', `${mailbox} holds ${mailboxBound} messages`)
    } else if (kind === 'handled' || kind === 'failed') {
      if (depth > 1) this.#mailboxes.set(mailbox, depth - 1)
      else this.#mailboxes.delete(mailbox)
    } else if (kind === 'stopped' || kind === 'passivated') this.#mailboxes.delete(mailbox)
    else if (kind === 'dead-letter' && reason === 'overflow') this.overflows += 1
  }
}

const pneOf = ({ operator, pne }: Acknowledged) => ({ operator: operator as OperatorId, pneId: pne })

/** Whether a register says what a client was told. */
function says(what: Acknowledged, key: string, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const fields = value as Record<string, unknown>
  if (what.type === 'admitted') return key === keys.roster(pneOf(what))
  if (!key.startsWith(keys.registrations(pneOf(what)))) return false
  return fields.state === 'active' && fields.expires === what.expires && fields.cpnsId === what.cpnsId
}

/** Commands that wait together share an entry: of a PNE that was added and removed in one, nobody ever sees but the removal. */
const wasRemovedAtOnce = (what: Acknowledged, { key, register, timeMs }: WrittenRegister): boolean =>
  what.type === 'admitted' && key === keys.roster(pneOf(what)) && register.value === null && timeMs >= what.sinceMs
