import type { Documents, Registers } from '../document/documents.ts'
import { type DocumentName, ownerOf, parseDocumentId } from '../document/names.ts'
import type { Entitlement } from '../federation/federation.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { homeDocument, visitDocument } from './networks.ts'
import { keys, readRecords } from './records.ts'
import { endedGrants, noticeOf, replicasOf } from './revocation/ending.ts'
import type { Statement } from './revocation/statement.ts'

/*
 * Which operators may hold a document.
 *
 * - `pn/…`: its home, and who has an unexpired grant in it: also when the PN was released, or nobody granted would learn.
 * - `visit/…`: its owner; and, as long as the owner has a grant itself, the home and the others granted. So nobody has to
 *   store what an operator without a grant calls a visit.
 * - All other documents: their owner.
 *
 * An operator whose grant was revoked, and that knows it, or whose grant ended so long ago that nobody waits for its renewal,
 * drops what it holds of the PN but for its own documents.
 *
 * It is asked for every push, so the answer comes from memory: the grants of each PN, read again whenever its home
 * document changes. What is not known yet, or could not be read, is refused.
 */

export interface Grants extends Entitlement {
  /** Reads the grants of every PN held here, then follows them. */
  start(): Promise<void>
  stop(): void
  /** Drops the replicas of PNs in which this operator's grant ended longer ago than anybody stays away. */
  sweep(): void
  /** Home and operators with a grant that counts now: those whose servers may know of the PN. */
  sharers(home: DocumentId): OperatorId[]
}

/** What a home document grants: until when, by operator. */
type Granted = ReadonlyMap<OperatorId, number>

/** A grant as it stands in the document. */
interface Given {
  readonly id: string
  readonly expires: number
}

interface Known {
  readonly granted: Granted
  /** Announces the next end of a grant. */
  readonly cancel: Cancel
}

const namesRemembered = 10_000

/** Clocks of other machines are set right meanwhile, and platforms bound their timers: longer waits are taken in steps. */
const longestWaitMs = 3_600_000

/** At the start: enough that the disk is never waited for, few enough that their content fits into memory. */
const readAtOnce = 16

/** After a replica could not be dropped it is tried again. */
const retryDropMs = 30_000

export function createGrants(options: {
  readonly self: OperatorId
  readonly documents: Documents
  /** Hears what each home document of this operator grants: the ids of the grants. */
  readonly granted: (home: DocumentId, grants: ReadonlyMap<OperatorId, string>) => void
  /** Hears of a grant of this operator that its home still gives, though it has given notice of its end. */
  readonly contradicted: (notice: Statement) => void
  /** After so long nobody who was away comes back. */
  readonly offlineMs: number
  /** What belongs together may arrive so much apart. */
  readonly arrivalMs: number
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Told of what every home document says, whenever it is read: at the start, and at each change. */
  readonly alsoRead?: (home: DocumentId, content: Registers) => void
}): Grants {
  const { self, documents, clock, telemetry } = options
  const known = new Map<DocumentId, Known>()
  const listeners = new Set<(document: DocumentId) => void>()
  /** Home documents that are being read; `true` when they have changed meanwhile. */
  const reading = new Map<DocumentId, boolean>()
  /** Home documents without a grant for us, which are dropped soon. */
  const leaving = new Set<DocumentId>()
  let unsubscribe: Cancel | undefined

  /** What ids say, since they are asked about again and again; forgotten all at once when there are too many. */
  const names = new Map<DocumentId, { readonly name: DocumentName; readonly home: DocumentId | undefined }>()
  function nameOf(document: DocumentId) {
    const known = names.get(document)
    if (known) return known
    const name = parseDocumentId(document)
    const home = name.kind === 'visit' ? homeDocument({ home: name.home, pnId: name.pnId }) : undefined
    if (names.size >= namesRemembered) names.clear()
    names.set(document, { name, home })
    return { name, home }
  }

  const isGranted = (home: DocumentId, operator: OperatorId): boolean => {
    const until = known.get(home)?.granted.get(operator)
    return until !== undefined && clock.now() < until
  }

  async function refresh(home: DocumentId): Promise<void> {
    if (reading.has(home)) {
      reading.set(home, true)
      return
    }
    do {
      reading.set(home, false)
      try {
        await read(home)
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        telemetry.log('error', 'inventory.grants.unreadable', { document: home, message })
        learn(home, new Map())
      }
    } while (reading.get(home))
    reading.delete(home)
  }

  async function read(home: DocumentId): Promise<void> {
    const isOwn = ownerOf(home) === self
    const index = isOwn ? undefined : await documents.index(home)
    const registers = await documents.read(home)
    options.alsoRead?.(home, registers)
    const given = givenIn(registers)
    const until = new Map([...given].map(([operator, { expires }]) => [operator, expires]))
    if (isOwn) {
      options.granted(home, new Map([...given].map(([operator, { id }]) => [operator, id])))
      return learn(home, until)
    }
    const mine = given.get(self)
    const own = await ownOf(home)
    const ended = own ? endedGrants(own) : new Set<string>()
    // A grant whose revocation this operator was told of grants nothing, whoever still offers the document that gives it.
    const isRevoked = mine !== undefined && ended.has(mine.id)
    learn(home, isRevoked ? new Map() : until)
    if (isRevoked) {
      const notice = own && noticeOf(own, { document: home, grantee: self, grant: mine.id })
      if (notice) options.contradicted(notice)
      await drop(home, index?.digest)
    } else if (!mine && (ended.size > 0 || registers.get(keys.grant(self)))) dropUnlessGiven(home)
  }

  /** This operator's own document of the PN, if there is one. */
  async function ownOf(home: DocumentId): Promise<Registers | undefined> {
    const name = parseDocumentId(home)
    if (name.kind !== 'pn') return undefined
    const own = visitDocument({ home: name.owner, pnId: name.pnId }, self)
    return (await documents.index(own)) && documents.read(own)
  }

  /**
   * The document itself says that we have no grant any more: the revocation was on its way when it was made. Or the one that
   * was given after it has not arrived yet, which is waited for.
   */
  function dropUnlessGiven(home: DocumentId): void {
    if (leaving.has(home)) return
    leaving.add(home)
    clock.after(options.arrivalMs, () => {
      if (unsubscribe) void dropIfNotGiven(home).finally(() => leaving.delete(home))
    })
  }

  async function dropIfNotGiven(home: DocumentId): Promise<void> {
    try {
      const index = await documents.index(home)
      if (index && !givenIn(await documents.read(home)).has(self)) await drop(home, index.digest)
    } catch (error) {
      telemetry.log('error', 'inventory.grants.unreadable', { document: home, message: String(error) })
    }
  }

  /**
   * What is held of the PN beside this operator's own documents; the home document last, since by it the rest is found. If
   * that has changed meanwhile it stays, and is read again.
   */
  async function drop(home: DocumentId, digest: Uint8Array | undefined): Promise<void> {
    try {
      for (const document of await Array.fromAsync(replicasOf(documents, home, self))) {
        await (document === home ? documents.forget(document, digest) : documents.forget(document))
        telemetry.count('cpns_replicas_dropped_total')
      }
      telemetry.log('info', 'inventory.replica.dropped', { document: home })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('error', 'inventory.replica.not-dropped', { document: home, message })
      clock.after(retryDropMs, () => {
        if (unsubscribe) void refresh(home)
      })
    }
  }

  /** Our own document of a PN of others has changed: it may say that our grant has ended. */
  async function heard(home: DocumentId): Promise<void> {
    if (home.startsWith('pn/') && (await documents.index(home))) await refresh(home)
  }

  function learn(home: DocumentId, granted: Granted): void {
    const before = known.get(home)
    before?.cancel()
    if (!unsubscribe) return
    if (granted.size === 0) known.delete(home)
    else known.set(home, { granted, cancel: announceNextEnd(home, granted) })
    if (!isEqual(before?.granted ?? new Map(), granted))
      announce(home, new Set([...(before?.granted.keys() ?? []), ...granted.keys()]))
  }

  function announceNextEnd(home: DocumentId, granted: Granted): Cancel {
    const ends = [...granted.values()].filter(end => end > clock.now())
    if (ends.length === 0) return () => {}
    const waitMs = Math.min(Math.min(...ends) - clock.now(), longestWaitMs)
    return clock.after(waitMs, () => {
      const ended = [...granted]
        .filter(([, end]) => ends.includes(end) && end <= clock.now())
        .map(([operator]) => operator)
      known.set(home, { granted, cancel: announceNextEnd(home, granted) })
      if (ended.length > 0) announce(home, new Set(ended))
    })
  }

  /** The home document, and all visits: whether the home and the others may hold a visit depends on the visitor's grant. */
  function announce(home: DocumentId, changed: ReadonlySet<OperatorId>): void {
    const name = parseDocumentId(home)
    if (name.kind !== 'pn') return
    const network = { home: name.owner, pnId: name.pnId }
    const visitors = new Set([...changed, ...(known.get(home)?.granted.keys() ?? [])])
    const concerned = [home, ...[...visitors].map(visitor => visitDocument(network, visitor))]
    for (const document of concerned) for (const listener of listeners) listener(document)
  }

  return {
    mayHold(document, operator) {
      const { name, home } = nameOf(document)
      if (name.owner === operator) return true
      if (name.kind === 'pn') return isGranted(document, operator)
      if (name.kind !== 'visit' || !home) return false
      return isGranted(home, name.owner) && (name.home === operator || isGranted(home, operator))
    },

    sharers(home) {
      const granted = [...(known.get(home)?.granted.keys() ?? [])].filter(operator => isGranted(home, operator))
      return [...new Set([nameOf(home).name.owner, ...granted])]
    },

    sweep() {
      for (const [home, { granted }] of known) {
        const until = granted.get(self)
        if (until === undefined || clock.now() < until + options.offlineMs || ownerOf(home) === self) continue
        void documents.index(home).then(index => drop(home, index?.digest))
      }
    },

    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    async start() {
      unsubscribe = documents.subscribe(({ document, keys: written }) => {
        if (written && !written.some(isRead)) return
        if (document.startsWith('pn/')) void refresh(document)
        else if (document.startsWith(`visit/${self}/`)) void heard(nameOf(document).home ?? document)
      })
      const held = documents.list('pn/')[Symbol.asyncIterator]()
      const readOn = async () => {
        for (let next = await held.next(); !next.done; next = await held.next()) await refresh(next.value.document)
      }
      await Promise.all(Array.from({ length: readAtOnce }, readOn))
    },

    stop() {
      unsubscribe?.()
      unsubscribe = undefined
      for (const { cancel } of known.values()) cancel()
      known.clear()
    },
  }
}

/** What is read here of home documents and of our own visits, and by who reads them too: most writes are registrations. */
const isRead = (key: string): boolean => key === keys.network || readPrefixes.some(prefix => key.startsWith(prefix))
const readPrefixes = ['grant/', 'roster/', 'ended/']

/**
 * Grants of the current epoch: who was granted something in an earlier one has no business with this one. Read at every
 * change of the document, so nothing else of it is.
 */
function givenIn(home: Registers): ReadonlyMap<OperatorId, Given> {
  const { network, grants } = readRecords(onlyGrants(home), 'pn')
  return new Map([...grants].filter(([, { epoch }]) => epoch === network?.epoch))
}

const onlyGrants = (home: Registers): Registers => ({
  get: key => home.get(key),
  *entries() {
    const network = home.get(keys.network)
    if (network) yield [keys.network, network]
    yield* home.entries('grant/')
    yield* home.entries('revoked/')
  },
})

const isEqual = (a: Granted, b: Granted): boolean =>
  a.size === b.size && [...a].every(([operator, expires]) => b.get(operator) === expires)
