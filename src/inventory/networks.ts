import type { DocumentNotice, Documents, Registers, RegisterWrite } from '../document/documents.ts'
import { documentId, parseDocumentId } from '../document/names.ts'
import type { Clock } from '../ports/clock.ts'
import type { LocalRecord } from '../ports/log-store.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'
import { leftovers } from './leftovers.ts'
import type { RecordCache } from './record-cache.ts'
import { type NetworkRecords, networkIn } from './records.ts'
import { refusals } from './refusals.ts'
import type { NetworkName, NetworkSources, NetworkView } from './view.ts'
import { createViewMemory } from './view-memory.ts'

/** What a decision about a PN is made on: the view, this operator's own document in it, and the time. */
export interface NetworkState {
  /** `undefined` where no such PN is known. */
  readonly view: NetworkView | undefined
  /** `pn/…` at the home operator, else this operator's `visit/…`. The decision's writes go there. */
  readonly own: Registers
  readonly now: number
}

export interface NetworkDecision<T> {
  readonly writes: readonly RegisterWrite[]
  /** What this server remembers with it, in the same batch. */
  readonly local?: readonly LocalRecord[]
  /** The answer, which may speak of the state that the writes bring about: of the view, and of this operator's document. */
  readonly answer: (after: () => NetworkView, registers: Registers) => T
}

type Decide<T> = (state: NetworkState) => NetworkDecision<T>
/** What this server is to remember of an answer. */
type Remember<T> = (answer: T, now: number) => readonly LocalRecord[]
export type NetworkWriter = <T>(decide: Decide<T>, local: Remember<T>) => Promise<T>

/** The Personal Networks that this server holds documents of. */
export interface Networks {
  view(name: NetworkName, at?: number): Promise<NetworkView | undefined>
  /** Where this operator says what it has to say of the PN. */
  ownDocument(name: NetworkName): DocumentId
  /** What it says there. */
  own(name: NetworkName): Promise<Registers>
  /** Who owns it by its home's document, which alone is read for it; `undefined` where no such PN is known. */
  ownerOf(name: NetworkName): Promise<string | undefined>
  /**
   * Decides and writes, durably, in this operator's own document of the PN; local records go into the same batch.
   * @throws {CommandRefused} what the decision throws; 409 when a later command has decided already.
   */
  write<T>(name: NetworkName, decide: Decide<T>, local: Remember<T>): Promise<T>
  /** The same in two steps: what is read first, and a write whose turn in the document comes in the order of the calls. */
  writer(name: NetworkName): Promise<NetworkWriter>
  /** The view once it satisfies `isReady`, or as it is after `waitMs`: for what a peer says has happened and is on its way. */
  settled(
    name: NetworkName,
    isReady: (view: NetworkView | undefined) => boolean,
    waitMs: number,
  ): Promise<NetworkView | undefined>
}

const noVisits: NetworkSources['visits'] = new Map()

export const homeDocument = ({ home, pnId }: NetworkName): DocumentId => documentId({ kind: 'pn', owner: home, pnId })
export const visitDocument = ({ home, pnId }: NetworkName, owner: OperatorId): DocumentId =>
  documentId({ kind: 'visit', owner, home, pnId })

/** The PN that a document is about, if it is about one. */
export function networkOf(document: DocumentId): NetworkName | undefined {
  const name = parseDocumentId(document)
  if (name.kind === 'pn') return { home: name.owner, pnId: name.pnId }
  return name.kind === 'visit' ? { home: name.home, pnId: name.pnId } : undefined
}

export function createNetworks(options: {
  readonly operator: OperatorId
  readonly documents: Documents
  readonly records: RecordCache
  readonly clock: Clock
  /** How long after its end a record of an operator's own stays, though it cannot count again. */
  readonly keptMs: number
}): Networks {
  const { operator, documents, records, clock, keptMs } = options

  const ownDocument = (name: NetworkName) =>
    name.home === operator ? homeDocument(name) : visitDocument(name, operator)

  /** Visits count under a grant only, so the grants say which to read. */
  async function read(name: NetworkName): Promise<NetworkSources> {
    const home = await records.read(homeDocument(name))
    if (home.grants.size === 0) return { home, visits: noVisits }
    const visits = await Promise.all(
      [...home.grants.keys()].map(
        async visitor => [visitor, await records.read(visitDocument(name, visitor))] as const,
      ),
    )
    return { home, visits: new Map(visits) }
  }

  const readOwn = (name: NetworkName, own: Registers) => records.of(own, name.home === operator ? 'pn' : 'visit')
  const withOwn = (name: NetworkName, all: NetworkSources, own: NetworkRecords): NetworkSources =>
    name.home === operator ? { ...all, home: own } : { ...all, visits: new Map(all.visits).set(operator, own) }

  /** The writes of a decision, and what they leave behind for good. */
  function withClearance(
    writes: readonly RegisterWrite[],
    said: NetworkRecords,
    view: NetworkView | undefined,
    now: number,
  ): readonly RegisterWrite[] {
    if (writes.length === 0 || !view) return writes
    const written = new Set(writes.map(({ key }) => key))
    const left = leftovers(said, view, now, { operator, keptMs }).filter(key => !written.has(key))
    return [...writes, ...left.map(key => ({ key, value: null }))]
  }

  const seen = createViewMemory()
  const view = async (name: NetworkName, at = clock.now()) => seen(name, await read(name), at)

  async function writer(name: NetworkName): Promise<NetworkWriter> {
    const all = await read(name)
    return (decide, local) =>
      documents.write(ownDocument(name), (own, now, foresee) => {
        const said = readOwn(name, own)
        const view = seen(name, withOwn(name, all, said), now)
        const { writes: decided, local: remembered = [], answer } = decide({ view, own, now })
        const writes = withClearance(decided, said, view, now)
        const foreseen = foresee(writes)
        if (foreseen.overtaken.length > 0) throw refusals.overtaken(foreseen.overtaken)
        const answered = answer(() => {
          const after = seen(name, withOwn(name, all, readOwn(name, foreseen.registers)), now)
          if (!after) throw refusals.pnUnknown(name)
          return after
        }, foreseen.registers)
        return { writes, local: [...remembered, ...local(answered, now)], answer: answered }
      })
  }

  return {
    view,

    ownDocument,
    own: name => records.registers(ownDocument(name)),

    ownerOf: async name => networkIn(await records.registers(homeDocument(name)))?.owner,

    write: async (name, decide, local) => (await writer(name))(decide, local),

    writer,

    async settled(name, isReady, waitMs) {
      const deadline = clock.elapsed() + waitMs
      for (;;) {
        const change = nextChange(documents, clock, name, deadline - clock.elapsed())
        const current = await view(name)
        if (isReady(current) || clock.elapsed() >= deadline) {
          change.forget()
          return current
        }
        await change.happened
      }
    },
  }
}

/** Resolves when a document of the PN has changed, or after `waitMs`. Listens from the moment of the call. */
function nextChange(documents: Documents, clock: Clock, name: NetworkName, waitMs: number) {
  const { promise, resolve } = Promise.withResolvers<void>()
  const concerns = ({ document }: DocumentNotice) => {
    const about = networkOf(document)
    return about?.home === name.home && about.pnId === name.pnId
  }
  const unsubscribe = documents.subscribe(notice => concerns(notice) && forget())
  const cancel = clock.after(Math.max(0, waitMs), () => forget())
  function forget() {
    unsubscribe()
    cancel()
    resolve()
  }
  return { happened: promise, forget }
}
