import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { Doc, type Map as YMap } from 'yjs'
import { createActorSystem } from '../../src/actor/system.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { serverIdentity } from '../../src/adapters/identity.ts'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { createDocuments } from '../../src/document/create-documents.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { operatorId } from '../../src/ports/names.ts'
import { type Bench, type Figure, type Measured, measured, median } from './bench.ts'

/*
 * Durable acknowledged register writes per second, of the node's whole Document path and, beside it in the same run, of a
 * plain loop over the same pieces: set a register in a Y.Map, hash and sign the update, and wait for the LevelDB batch
 * that makes it durable, where one batch is written at a time and takes whatever came meanwhile.
 */

const documentCount = 2_000
const writerCounts = [64, 512]
/** Many short ones, each beside its like: what disturbs the machine for a second or two spoils few of them. */
const rounds = 15
const roundMs = 700
const registersPerDocument = 20
/** Of what the loop does, the Document path must reach this share. */
const wantedShare = 0.7

const crypto = nodeCrypto()
const identity = serverIdentity(operatorId('a.example'), crypto.ed25519.generate().privateKey, crypto)
const names = Array.from({ length: documentCount }, (_, index) => asDocumentId(`pn/a.example/bench-${index}`))

/** Something that writes one register durably. */
interface Writer {
  readonly name: string
  write(document: number, key: string, value: { state: string; count: number }): Promise<void>
  close(): Promise<void>
}

export const documentBench: Bench = {
  name: 'document',
  summary: `durable register writes over ${documentCount} documents, beside a plain loop over the same pieces`,
  async run(progress) {
    const folder = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    const writers = [await plainLoop(join(folder, 'loop')), await documentPath(join(folder, 'node'))]
    try {
      for (const writer of writers) await drive(writer, 512, 2 * roundMs)
      const figures: Figure[] = []
      for (const count of writerCounts) figures.push(...(await compare(writers, count, progress)))
      return figures
    } finally {
      for (const writer of writers) await writer.close()
      await rm(folder, { recursive: true })
    }
  },
}

/** Rounds of one and the other in turn, so that what disturbs the machine disturbs both. */
async function compare(writers: readonly Writer[], count: number, progress: (line: string) => void): Promise<Figure[]> {
  const results = writers.map(() => [] as Measured[])
  for (let round = 0; round < rounds; round++) {
    for (const [at, writer] of writers.entries()) {
      const result = await measured(() => drive(writer, count, roundMs))
      results[at]?.push(result)
      progress(
        `${count} writers, round ${round + 1}, ${writer.name}: ` +
          `${Math.round(result.perSecond)} writes/s at ${result.cpuUs.toFixed(1)} µs CPU`,
      )
    }
  }
  const shares = (results[1] ?? []).map(({ perSecond }, round) => perSecond / (results[0]?.[round]?.perSecond ?? 0))
  return [
    ...writers.flatMap(({ name }, at): Figure[] => [
      {
        name: `${name}, ${count} writers`,
        value: median(results[at]?.map(({ perSecond }) => perSecond) ?? []),
        unit: 'writes/s',
      },
      {
        name: `${name}, ${count} writers, CPU`,
        value: median(results[at]?.map(({ cpuUs }) => cpuUs) ?? []),
        unit: 'µs/write',
      },
    ]),
    // Round by round, as a disk that others use too changes its pace from one minute to the next.
    { name: `share of the loop, ${count} writers`, value: median(shares), unit: '', atLeast: wantedShare },
  ]
}

/** `count` writers, each waiting for one write before the next, for `ms`. Answers how many writes were acknowledged. */
async function drive(writer: Writer, count: number, ms: number): Promise<number> {
  const end = performance.now() + ms
  let next = 0
  let done = 0
  async function writeOn(): Promise<void> {
    while (performance.now() < end) {
      const turn = next++
      const register = Math.floor(turn / documentCount) % registersPerDocument
      await writer.write(turn % documentCount, `pne/${register}/state`, { state: 'active', count: turn })
      done++
    }
  }
  await Promise.all(Array.from({ length: count }, writeOn))
  return done
}

export async function documentPath(folder: string): Promise<Writer> {
  // Nothing else does, while the server takes a breath.
  const clock = systemClock({ holdsProcess: true })
  const random = systemRandom()
  const store = await openLevelLogStore(folder)
  const actors = createActorSystem({ clock, random })
  const documents = createDocuments({
    operator: identity.operator,
    identity,
    actors,
    store,
    crypto,
    clock,
    random,
    authorship: { mayHaveWritten: () => true, servers: () => [identity.server] },
    telemetry: { log: () => {}, count: () => {}, observe: () => {} },
  })
  return {
    name: 'Document path',
    write: (document, key, value) =>
      documents.write(names[document] as (typeof names)[number], () => ({
        writes: [{ key, value }],
        answer: undefined,
      })),
    async close() {
      await actors.drain()
      await store.close()
    },
  }
}

async function plainLoop(folder: string): Promise<Writer> {
  const level = new ClassicLevel<string, Uint8Array>(folder, { valueEncoding: 'view', compression: false })
  await level.open()
  const logs = names.map(plainLog)
  let waiting: { key: string; value: Uint8Array }[] = []
  let arrived = Promise.withResolvers<void>()
  let isFlushing = false

  async function flush(): Promise<void> {
    while (waiting.length > 0) {
      const [records, written] = [waiting, arrived]
      waiting = []
      arrived = Promise.withResolvers<void>()
      const batch = level.batch()
      for (const { key, value } of records) batch.put(key, value)
      await batch.write({ sync: true })
      written.resolve()
    }
    isFlushing = false
  }

  return {
    name: 'plain loop',
    write(document, key, value) {
      const log = logs[document] as ReturnType<typeof plainLog>
      log.map.set(key, [Date.now(), identity.server, value])
      const signature = identity.sign('cpns-entry-v1', crypto.sha256(log.update))
      const record = new Uint8Array(log.update.length + signature.length)
      record.set(log.update)
      record.set(signature, log.update.length)
      waiting.push({ key: `${names[document]} ${log.seq++}`, value: record })
      const { promise } = arrived
      // A microtask later, so that what is written in one go shares the first batch too.
      if (!isFlushing) Promise.resolve().then(flush)
      isFlushing = true
      return promise
    },
    close: () => level.close(),
  }
}

interface PlainLog {
  readonly map: YMap<unknown>
  update: Uint8Array
  seq: number
}

function plainLog(name: string): PlainLog {
  const doc = new Doc({ guid: name })
  const log: PlainLog = { map: doc.getMap('log'), update: new Uint8Array(0), seq: 0 }
  doc.on('update', update => {
    log.update = update
  })
  return log
}
