import { createActorSystem } from '../../actor/system.ts'
import { createDocuments } from '../../document/create-documents.ts'
import type { Documents } from '../../document/documents.ts'
import { asDocumentId } from '../../document/names.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import { type ServerIdentity, signedBytes } from '../../ports/identity.ts'
import type { LogStore } from '../../ports/log-store.ts'
import { type DocumentId, publicKeyOf } from '../../ports/names.ts'
import type { Random } from '../../ports/random.ts'

/*
 * What a machine and its disk do for a server, by the code that a server runs: its documents, signed and durable, and the cryptography
 * below them.
 */

export interface CapacityOptions {
  readonly identity: ServerIdentity
  /** Opens an empty store, which is on the disk that is asked about, and later the same one again. */
  readonly open: () => Promise<LogStore>
  readonly crypto: Crypto
  readonly clock: Clock
  readonly random: Random
  /** For each figure. */
  readonly milliseconds: number
  /** Called as each figure is begun, with what it is. */
  readonly told?: (what: string) => void
}

/** How often something was done, and how long each took. */
export interface Rate {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface Capacity {
  /** Ed25519. */
  readonly signatures: Rate
  readonly verifications: Rate
  /** Registers set one after another, each acknowledged when it is on the disk. */
  readonly writesOneByOne: Rate
  /** The same by {@link writersAtOnce}, each in a document of its own. */
  readonly writesAtOnce: Rate
  /** Documents opened from the store, one after another; each time is the mean of {@link writersAtOnce}. */
  readonly opens: Rate
}

export const writersAtOnce = 64
/** Before what is counted: code is compiled, and files are there. */
const warmUpShare = 0.25
/** As many signatures as are made between two looks at the clock. */
const signedTogether = 20

/** @throws {WriteFailed} when the disk does not take what is written */
export async function measureCapacity(options: CapacityOptions): Promise<Capacity> {
  const { crypto, identity, told = () => {} } = options
  told('signatures')
  const digest = crypto.sha256(new TextEncoder().encode('what is signed'))
  const signatures = await rateOf(options, async () => many(() => identity.sign('cpns-entry-v1', digest)))
  told('verifications')
  const [key, bytes] = [publicKeyOf(identity.server), signedBytes('cpns-entry-v1', digest)]
  const signature = identity.sign('cpns-entry-v1', digest)
  const verifications = await rateOf(options, async () => many(() => crypto.ed25519.verify(key, bytes, signature)))
  const store = await options.open()
  try {
    return { signatures, verifications, ...(await rates(options, store)) }
  } finally {
    await store.close()
  }
}

function many(work: () => unknown): number {
  for (let times = 0; times < signedTogether; times++) work()
  return signedTogether
}

type OfDocuments = Pick<Capacity, 'writesOneByOne' | 'writesAtOnce' | 'opens'>

async function rates(options: CapacityOptions, store: LogStore): Promise<OfDocuments> {
  const { identity, told = () => {} } = options
  const names = Array.from({ length: writersAtOnce }, (_, at) => asDocumentId(`pn/${identity.operator}/measured-${at}`))
  const written = await withDocuments(options, store, async documents => {
    told('durable writes, one after another')
    const writesOneByOne = await rateOf(options, writer(documents, names.slice(0, 1)))
    told(`durable writes, ${writersAtOnce} at once`)
    return { writesOneByOne, writesAtOnce: await rateOf(options, writer(documents, names), writersAtOnce) }
  })
  told('opening documents')
  const openAll = async (documents: Documents) => {
    for (const name of names) await documents.read(name)
    return names.length
  }
  return { ...written, opens: await rateOf(options, () => withDocuments(options, store, openAll)) }
}

/** With documents that nobody has looked at yet. */
async function withDocuments<T>(
  { identity, crypto, clock, random }: CapacityOptions,
  store: LogStore,
  work: (documents: Documents) => Promise<T>,
): Promise<T> {
  const actors = createActorSystem({ clock, random })
  const documents = createDocuments({
    ...{ operator: identity.operator, identity, actors, store, crypto, clock, random },
    authorship: { mayHaveWritten: () => true, servers: () => [identity.server] },
    telemetry: { log: () => {}, count: () => {}, observe: () => {} },
  })
  try {
    return await work(documents)
  } finally {
    await actors.drain()
  }
}

/** Each time sets the next one of twenty registers, in the next of these documents. */
function writer(documents: Documents, names: readonly DocumentId[]): () => Promise<number> {
  let count = 0
  return async () => {
    const turn = count++
    const key = `pne/${Math.floor(turn / names.length) % 20}/state`
    const writes = [{ key, value: { state: 'active', count: turn } }]
    await documents.write(names[turn % names.length] as DocumentId, () => ({ writes, answer: undefined }))
    return 1
  }
}

/** @param work answers how often it has done what is counted */
async function rateOf(options: CapacityOptions, work: () => Promise<number>, atOnce = 1): Promise<Rate> {
  const { clock, milliseconds } = options
  await during(clock, milliseconds * warmUpShare, work, atOnce)
  const { count, tookMs, elapsedMs } = await during(clock, milliseconds, work, atOnce)
  const sorted = tookMs.toSorted((a, b) => a - b)
  const quantile = (share: number) => sorted[Math.floor(share * sorted.length)] ?? Number.NaN
  return { perSecond: (count * 1000) / elapsedMs, p50Ms: quantile(0.5), p99Ms: quantile(0.99) }
}

async function during(clock: Clock, forMs: number, work: () => Promise<number>, atOnce: number) {
  const beganMs = clock.elapsed()
  const tookMs: number[] = []
  let count = 0
  const worker = async () => {
    while (clock.elapsed() - beganMs < forMs || tookMs.length === 0) {
      const turnMs = clock.elapsed()
      const done = await work()
      count += done
      tookMs.push((clock.elapsed() - turnMs) / done)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return { count, tookMs, elapsedMs: clock.elapsed() - beganMs }
}
