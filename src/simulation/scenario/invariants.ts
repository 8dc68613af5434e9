import { applyUpdate, Doc } from 'yjs'
import type { Registers } from '../../document/documents.ts'
import { openStoredEntry } from '../../document/entry.ts'
import { guardUpdate } from '../../document/guard.ts'
import { clientIdOf } from '../../document/log.ts'
import { ownerOf, parseDocumentId } from '../../document/names.ts'
import { isLater, readRegisters } from '../../document/registers-view.ts'
import { lacks } from '../../federation/heads.ts'
import { keys } from '../../inventory/records.ts'
import { effectiveInventory } from '../../inventory/view.ts'
import type { IndexRecord } from '../../ports/log-store.ts'
import type { DocumentId, LogId, OperatorId } from '../../ports/names.ts'
import type { SimulatedFederation } from '../federation/federation.ts'
import type { SimulatedServer } from '../federation/server.ts'
import type { BareDocuments } from './bare-documents.ts'
import type { Observations } from './observations.ts'
import type { Population, SimulatedNetworkName } from './population.ts'
import { type DiskContent, readDisk } from './replicas.ts'
import type { InvariantName } from './schema.ts'

/** What was promised and did not hold. */
export interface Violation {
  readonly invariant: InvariantName
  readonly what: string
  readonly timeMs: number
}

/** Replicas of one document whose content is read from memory, drawn: of the others the digests on disk are compared. */
const contentsReadAtMost = 24
/** Violations told of each invariant: the first ones say what is wrong. */
const toldAtMost = 20

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

/** Whether every replica that should be the same is: by digest, on disk. */
export async function differences(
  federation: SimulatedFederation,
  {
    population,
    bare,
    hostile,
  }: { readonly population: Population; readonly bare: BareDocuments; readonly hostile: ReadonlySet<string> },
): Promise<string[]> {
  const honest = federation.servers.filter(({ operator }) => !hostile.has(operator.id))
  const disks = await Promise.all(honest.map(server => readDisk(server, federation.world.production)))
  const found: string[] = []
  const compare = (document: DocumentId, holders: readonly DiskContent[]) => {
    const held = holders.map(({ indexes }) => indexes.get(document))
    // What nobody has written is held by nobody.
    if (held.every(index => index === undefined)) return
    const digests = new Set(held.map(index => (index ? base64(index.digest) : 'not held')))
    if (digests.size > 1) found.push(`${document}: ${describe(holders, document)}`)
  }
  for (const network of population.networks) {
    if (hostile.has(network.home.id)) continue
    const entitled = await entitledTo(network, disks)
    const holders = disks.filter(({ server }) => entitled.has(server.operator.id))
    for (const document of population.documentsOf(network)) {
      if (hostile.has(ownerOf(document))) continue
      if (entitled.has(ownerOf(document))) compare(document, holders)
      found.push(...lackedByOwner(document, disks))
    }
  }
  for (const { document, operator } of bare.all) {
    compare(
      document,
      disks.filter(({ server }) => server.operator === operator),
    )
  }
  return found
}

/** An owner takes its own back from whoever holds it, also from those that may not hold it any more. */
function lackedByOwner(document: DocumentId, disks: readonly DiskContent[]): string[] {
  const owners = disks.filter(({ server }) => server.operator.id === ownerOf(document))
  return disks.flatMap(({ server, indexes }) => {
    const heads = indexes.get(document)?.heads ?? []
    return owners
      .filter(owner => owner.server !== server && lacks(owner.indexes.get(document), heads))
      .map(owner => `${document}: ${owner.server.name} lacks what ${server.name} holds`)
  })
}

const describe = (disks: readonly DiskContent[], document: DocumentId): string =>
  disks
    .map(({ server, indexes }) => {
      const index = indexes.get(document)
      const heads = index?.heads.map(({ log, length }) => `${log.slice(0, 4)}:${length}`).join(',')
      return `${server.name} ${heads ?? '-'}`
    })
    .join('; ')

/** The home operator, and those that its document grants something, as its first server has it. */
async function entitledTo(
  network: SimulatedNetworkName,
  disks: readonly DiskContent[],
): Promise<ReadonlySet<OperatorId>> {
  const { home, grantees } = network
  const disk = disks.find(({ server }) => server.operator.id === home.id)
  const [document] = [...(disk?.indexes.keys() ?? [])].filter(id => isHomeOf(id, network))
  const registers = disk && document ? await contentOf(disk, document) : undefined
  const granted = grantees.filter(({ id }) => registers?.get(keys.grant(id))?.value)
  return new Set([home.id, ...granted.map(({ id }) => id)])
}

function isHomeOf(document: DocumentId, { home, pnId }: SimulatedNetworkName): boolean {
  const name = parseDocumentId(document)
  return name.kind === 'pn' && name.owner === home.id && name.pnId === pnId
}

/** What a disk's logs of a document say, read without any part of the node that keeps contents. */
async function contentOf(disk: DiskContent, document: DocumentId): Promise<Registers> {
  const doc = new Doc({ guid: document })
  doc.clientID = 0
  const lengths = new Map(disk.indexes.get(document)?.heads.map(({ log, length }) => [log, length]))
  for (const { log, seq, bytes } of await disk.entries(document)) {
    const { update } = openStoredEntry(bytes)
    if (seq < (lengths.get(log) ?? 0) && update.length > 0) applyUpdate(doc, update)
  }
  return readRegisters(doc)
}

/** Holds what is on disk and in memory, once all is quiet, against what was promised. */
export class Invariants {
  readonly violations: Violation[] = []
  readonly #federation: SimulatedFederation
  readonly #population: Population
  readonly #observations: Observations
  readonly #checked: ReadonlySet<InvariantName>
  readonly #hostile: ReadonlySet<string>
  readonly #told = new Map<InvariantName, number>()

  constructor(
    federation: SimulatedFederation,
    population: Population,
    observations: Observations,
    checked: ReadonlySet<InvariantName>,
    hostile: ReadonlySet<string>,
  ) {
    this.#federation = federation
    this.#population = population
    this.#observations = observations
    this.#checked = checked
    this.#hostile = hostile
  }

  violated(invariant: InvariantName, what: string): void {
    if (!this.#checked.has(invariant)) return
    const told = (this.#told.get(invariant) ?? 0) + 1
    this.#told.set(invariant, told)
    if (told <= toldAtMost) this.violations.push({ invariant, what, timeMs: this.#federation.world.nowMs })
  }

  /** @param read the content as a server's node has it in memory */
  async atEnd(read: (server: SimulatedServer, document: DocumentId) => Promise<Registers>): Promise<void> {
    const { servers, world } = this.#federation
    const honest = servers.filter(({ operator }) => !this.#hostile.has(operator.id))
    const disks = await Promise.all(honest.map(server => readDisk(server, world.production)))
    const held = new Map(disks.map(disk => [disk, new Map<DocumentId, Registers>()]))
    for (const document of new Set(disks.flatMap(({ indexes }) => [...indexes.keys()]))) {
      const holders = disks.filter(({ indexes }) => indexes.has(document))
      for (const disk of world.random('contents', document).shuffled(holders).slice(0, contentsReadAtMost)) {
        held.get(disk)?.set(document, await read(disk.server, document))
        await this.#guarded(document, disk)
      }
      this.#sameContent(document, holders, held)
      this.#ownDocumentsOnly(document, holders)
      await this.#noSecrets(document, holders)
    }
    this.#acknowledged(disks, held)
    await this.#equalViews(disks, held)
    this.#readers()
  }

  /** Nothing is stored that the guard refuses, whoever signed it. */
  async #guarded(document: DocumentId, disk: DiskContent): Promise<void> {
    if (!this.#checked.has('guarded-entries')) return
    const { crypto } = this.#federation.world.production
    const clocks = new Map<LogId, number>()
    for (const { log, seq, bytes } of await disk.entries(document)) {
      const { update } = openStoredEntry(bytes)
      if (update.length === 0) continue
      const nextClock = clocks.get(log) ?? 0
      const verdict = guardUpdate(update, { root: log, clientId: clientIdOf(log, crypto), nextClock })
      if (verdict.ok) clocks.set(log, verdict.nextClock)
      else this.violated('guarded-entries', `${disk.server.name} holds ${log}:${seq} of ${document}: ${verdict.reason}`)
    }
  }

  /** Replicas that hold the same entries have the same digest and content; the disk's content is the memory's. */
  #sameContent(document: DocumentId, holders: readonly DiskContent[], held: Contents): void {
    const byHeads = Map.groupBy(holders, ({ indexes }) => headsName(indexes.get(document)))
    for (const [heads, same] of byHeads) {
      const digests = new Set(same.map(({ indexes }) => base64(indexes.get(document)?.digest ?? new Uint8Array(0))))
      // Those that know different evidence of one fork agree as soon as they hear of each other's.
      if (digests.size > 1 && !this.#hostile.has(ownerOf(document)))
        this.violated('same-entries-same-content', `${document}: ${digests.size} digests of ${heads}`)
      const readers = same.filter(disk => held.get(disk)?.has(document))
      const contents = new Set(readers.map(disk => contentName(held.get(disk)?.get(document))))
      if (contents.size > 1) {
        const names = readers.map(({ server }) => server.name).join(', ')
        this.violated(
          'same-entries-same-content',
          `${document}: ${contents.size} contents of the same entries at ${names}`,
        )
      }
    }
  }

  #ownDocumentsOnly(document: DocumentId, holders: readonly DiskContent[]): void {
    const owner = ownerOf(document)
    const mayWrite = new Set(this.#federation.operator(owner).servers.map(({ identity }) => identity.server))
    for (const { server, indexes } of holders) {
      for (const head of indexes.get(document)?.heads ?? []) {
        if (mayWrite.has(head.server)) continue
        this.violated('own-documents-only', `${server.name} holds log ${head.log} of ${document} by ${head.server}`)
      }
    }
  }

  async #noSecrets(document: DocumentId, [disk]: readonly DiskContent[]): Promise<void> {
    if (!disk || !this.#checked.has('no-secrets')) return
    const { secrets } = this.#observations
    for (const { log, seq, bytes } of await disk.entries(document)) {
      if (secrets.isIn(bytes)) this.violated('no-secrets', `entry ${log}:${seq} of ${document} holds a secret`)
    }
  }

  /** Whatever a server has shown as durable is there, or something later is. */
  #acknowledged(disks: readonly DiskContent[], held: Contents): void {
    const { written, doubtful } = this.#observations
    for (const document of written.documents()) {
      const owner = ownerOf(document)
      if (this.#hostile.has(owner)) continue
      const latest = written.latest(document, each => !doubtful(each))
      for (const disk of disks.filter(({ server }) => server.operator.id === owner)) {
        const registers = held.get(disk)?.get(document)
        if (!registers && disk.indexes.has(document)) continue
        for (const [key, { register, log, seq }] of latest) {
          const present = registers?.get(key)
          const isThere = present
            ? !isLater(register, present) || written.isAfterMark(document, key, register, present)
            : register.value === null || written.isRemoved(document, key, register)
          if (isThere) continue
          const now = present ? `has stamp ${present.stamp} now` : 'is gone'
          this.violated(
            'acknowledged-writes',
            `${disk.server.name}: ${key} of ${document}, written at stamp ${register.stamp} as ${log}:${seq}, ${now}`,
          )
        }
      }
    }
    for (const what of this.#observations.unfounded(held)) this.violated('acknowledged-writes', what)
  }

  /** The effective inventory of a network is the same wherever its documents are. */
  async #equalViews(disks: readonly DiskContent[], held: Contents): Promise<void> {
    const at = this.#federation.world.epochMs + Math.round(this.#federation.world.nowMs)
    for (const network of this.#population.networks) {
      if (this.#hostile.has(network.home.id)) continue
      const entitled = await entitledTo(network, disks)
      const [home, ...visits] = this.#population
        .documentsOf(network)
        .filter(document => !this.#hostile.has(ownerOf(document)))
      const views = new Map<string, string[]>()
      for (const disk of disks.filter(({ server }) => entitled.has(server.operator.id))) {
        const contents = held.get(disk)
        const homeRegisters = home && contents?.get(home)
        const visitRegisters = new Map(
          visits.flatMap(visit => {
            const registers = contents?.get(visit)
            return registers ? [[ownerOf(visit), registers] as const] : []
          }),
        )
        const name = { home: network.home.id, pnId: network.pnId }
        const view = homeRegisters && effectiveInventory(name, { home: homeRegisters, visits: visitRegisters }, at)
        const shown = JSON.stringify(view) ?? 'none'
        views.set(shown, [...(views.get(shown) ?? []), disk.server.name])
      }
      if (views.size > 1) {
        const sides = [...views.values()].map(names => names.join(', ')).join(' | ')
        this.violated('equal-views', `${network.pnId}: ${views.size} different inventories: ${sides}`)
      }
    }
  }

  #readers(): void {
    for (const regression of this.#observations.readers.regressions) {
      const { reader, document, key, from, to, elsewhere, server, timeMs } = regression
      if (this.#hostile.has(ownerOf(document))) continue
      const { written } = this.#observations
      const isSpent = to ? written.isAfterMark(document, key, from, to) : written.isRemoved(document, key, from)
      if (elsewhere || isSpent || this.#observations.isLost(document, key, from)) continue
      const [before, now] = [from, to].map(register => (register ? JSON.stringify(register) : 'nothing'))
      this.violated(
        'no-older-stamps',
        `${reader} at ${server}, ${timeMs} ms: ${key} of ${document} went from ${before} to ${now}`,
      )
    }
  }
}

/** What each server's node has in memory. */
export type Contents = ReadonlyMap<DiskContent, ReadonlyMap<DocumentId, Registers>>

const headsName = (index: IndexRecord | undefined): string =>
  index?.heads.map(({ log, length, forked }) => `${log}:${length}${forked ? '!' : ''}`).join(' ') ?? ''

const contentName = (registers: Registers | undefined): string => JSON.stringify([...(registers?.entries() ?? [])])
