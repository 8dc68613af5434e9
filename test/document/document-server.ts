import { createActorSystem } from '../../src/actor/system.ts'
import type { ActorSystem } from '../../src/actor/types.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { type MemoryDisk, memoryDisk, memoryLogStore } from '../../src/adapters/memory-log-store.ts'
import { createDocuments } from '../../src/document/create-documents.ts'
import type { Authorship, Documents, IngestResult, Json } from '../../src/document/documents.ts'
import { openStoredEntry } from '../../src/document/entry.ts'
import type { DocumentLimits } from '../../src/document/limits.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { versionOf } from '../../src/document/version.ts'
import type { Crypto } from '../../src/ports/crypto.ts'
import type { LogStore } from '../../src/ports/log-store.ts'
import type { DocumentId, LogId, OperatorId, ServerId } from '../../src/ports/names.ts'
import type { Random } from '../../src/ports/random.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import type { TestOperator } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'

/** The document that most tests write: of operator a.example. */
export const home: DocumentId = asDocumentId('pn/a.example/home')

export const crypto = nodeCrypto()

/** Operators whose manifests everybody knows; a test may change who is in them. */
export class KnownOperators implements Authorship {
  readonly operators: readonly TestOperator[]
  readonly #retired = new Set<ServerId>()
  constructor(...operators: readonly TestOperator[]) {
    this.operators = operators
  }
  /** Takes a server out of its operator's manifest; what it has written stays good. */
  retire(server: ServerId): void {
    this.#retired.add(server)
  }
  mayHaveWritten(owner: OperatorId, server: ServerId): boolean {
    return this.#all(owner).includes(server)
  }
  servers(owner: OperatorId): readonly ServerId[] {
    return this.#all(owner).filter(server => !this.#retired.has(server))
  }
  #all(owner: OperatorId): readonly ServerId[] {
    return this.operators.find(({ id }) => id === owner)?.servers.map(({ id }) => id) ?? []
  }
}

export interface DocumentServerOptions {
  readonly operator: TestOperator
  /** Which of its servers. Default: the first. */
  readonly number?: number
  readonly authorship?: Authorship
  readonly clock?: ManualClock
  readonly limits?: Partial<DocumentLimits>
  readonly random?: Random
  readonly crypto?: Crypto
  readonly disk?: MemoryDisk
  readonly sync?: () => Promise<void>
}

/** The document layer of one server over a memory disk, which can be started again on the same disk. */
export class DocumentServer {
  readonly id: ServerId
  readonly disk: MemoryDisk
  readonly clock: ManualClock
  readonly telemetry = new RecordingTelemetry()
  documents: Documents
  store: LogStore
  actors: ActorSystem
  readonly #options: DocumentServerOptions
  readonly #random: Random

  constructor(options: DocumentServerOptions) {
    const { operator, number = 0, clock = new ManualClock(), disk = memoryDisk() } = options
    this.#options = options
    this.id = serverOf(operator, number).id
    this.disk = disk
    this.clock = clock
    this.#random = options.random ?? seededRandom(`${operator.id} ${number}`)
    const life = this.#start()
    this.documents = life.documents
    this.store = life.store
    this.actors = life.actors
  }

  /** A new run on what the disk holds. */
  restart(): void {
    Object.assign(this, this.#start())
  }

  async write(key: string, value: Json, at?: number): Promise<void> {
    await this.writeAll([[key, value]], at)
  }

  async writeAll(registers: readonly (readonly [key: string, value: Json])[], at?: number): Promise<void> {
    const time = at === undefined ? {} : { at }
    const writes = registers.map(([key, value]) => ({ key, value, ...time }))
    await this.documents.write(home, () => ({ writes, answer: undefined }))
  }

  /** Values by key; marks are left out. */
  async values(document = home): Promise<Record<string, Json>> {
    const registers = await this.documents.read(document)
    return Object.fromEntries(
      [...registers.entries()].flatMap(([key, { value }]) => (value === null ? [] : [[key, value]])),
    )
  }

  /** Brings `other` whatever this server holds beyond it, page after page: what was sent is not sent again. */
  async sendTo(other: DocumentServer, { document = home, pageBytes = 64 * 1024 } = {}): Promise<IngestResult[]> {
    const results: IngestResult[] = []
    const index = await other.documents.index(document)
    const hashes = new Map<LogId, Uint8Array>(index?.heads.map(head => [head.log, head.hash]))
    const version = new Map(versionOf(index))
    for (let more = true; more; ) {
      const page = await this.documents.missing(document, version, pageBytes, hashes)
      if (page.entries.length > 0) results.push(await other.documents.ingest(document, page.entries, this.id))
      for (const { log, seq } of page.entries.map(openStoredEntry)) {
        version.set(log, seq + 1)
        hashes.delete(log)
      }
      more = page.more
    }
    return results
  }

  async digest(document = home): Promise<string> {
    const index = await this.documents.index(document)
    return Buffer.from(index?.digest ?? []).toString('hex')
  }

  /** Every byte that the store holds of a document's entries. */
  async storedText(document = home): Promise<string> {
    let text = ''
    for await (const { bytes } of this.store.entries(document)) text += Buffer.from(bytes).toString('latin1')
    return text
  }

  #start(): { documents: Documents; store: LogStore; actors: ActorSystem } {
    const { operator, number = 0, authorship = new KnownOperators(operator), limits = {}, sync } = this.#options
    const { crypto: cryptography = crypto } = this.#options
    const store = memoryLogStore({ disk: this.disk, ...(sync && { sync }) })
    const clock = this.clock
    const random = this.#random
    const actors = createActorSystem({ clock, random })
    const { identity } = serverOf(operator, number)
    const { telemetry } = this
    const documents = createDocuments({
      operator: operator.id,
      identity,
      actors,
      store,
      crypto: cryptography,
      clock,
      random,
      authorship,
      telemetry,
      limits,
    })
    return { documents, store, actors }
  }
}

function serverOf(operator: TestOperator, number: number): TestOperator['servers'][number] {
  const server = operator.servers[number]
  if (!server) throw new RangeError(`${operator.id} has no server ${number}.`)
  return server
}

/** Brings both what the other lacks until neither lacks anything. */
export async function exchange(a: DocumentServer, b: DocumentServer, document = home): Promise<void> {
  for (let round = 0; round < 4; round++) {
    await a.sendTo(b, { document })
    await b.sendTo(a, { document })
    if ((await a.digest(document)) === (await b.digest(document))) return
  }
}
