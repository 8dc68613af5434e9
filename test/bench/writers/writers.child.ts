import { obey } from '../overload/child.ts'
import { type Approach, type Connect, type Connection, textOf } from './connection.ts'

/*
 * Clients that write, each to a document of its own. They know what was acknowledged, and can say of a server whether it still has
 * it; each may have an observer beside it.
 */

export type Protocol = keyof typeof protocols

export type WritersOrder =
  /** All connect, and make their documents; again after a server was started again. */
  | {
      readonly what: 'open'
      readonly protocol: Protocol
      readonly port: number
      readonly count: number
      /** The number of the first of them. Default: 0. */
      readonly first?: number
      /** All write to one document. */
      readonly isShared?: boolean
    }
  /** Each of them follows its document from now on. */
  | { readonly what: 'follow' }
  /** Somebody follows each document from now on. */
  | { readonly what: 'observe' }
  /** All write for so long, or until they are closed: each has so many writes under way, or one begun every so often. */
  | {
      readonly what: 'write'
      readonly forMs: number
      readonly underWay: number
      readonly everyMs: number
      /** So many go out together, where a server has a word for it. Default: 1. */
      readonly together?: number
    }
  /** One of them writes once more; answers how others may come to follow the document, and the text. */
  | { readonly what: 'end' }
  /** What was acknowledged and is not there. */
  | { readonly what: 'check' }

export interface WritersAnswer {
  readonly acknowledged: number
  /** Writes that their observers were told of. */
  readonly told: number
  readonly lost: number
  /** From a write to its acknowledgement, and until its observer is told; medians over all of this order. */
  readonly acknowledgedMs: number
  readonly toldMs: number
  readonly approach?: Approach | undefined
  readonly text?: string
}

interface Writer {
  readonly index: number
  connection: Connection | undefined
  lastWritten: number
  lastAcknowledged: number
  /** When it was last checked: what was lost then is not lost again. */
  lastChecked: number
  /** Writes that nobody was told of yet, by their number: when they began. */
  readonly beganMs: Map<number, number>
}

/** Loaded when it is needed: that of automerge-repo takes packages of the peers. */
const protocols = {
  ours: async () => (await import('./ours.ts')).connectOurs,
  bare: async () => (await import('./bare.ts')).connectBare,
  yWebsocket: async () => (await import('./y-documents.ts')).connectYWebsocket,
  hocuspocus: async () => (await import('./y-documents.ts')).connectHocuspocus,
  automerge: async () => (await import('./automerge.ts')).connectAutomerge,
} satisfies Record<string, () => Promise<Connect>>

const openAtOnce = 32
const tellWithinMs = 10_000
const writers: Writer[] = []
let toldMs: number[] = []
let isObserved = false
let isShared = false
let lastOfAll = 0

obey<WritersOrder, WritersAnswer>(async order => {
  switch (order.what) {
    case 'open':
      await open(order)
      return nothing
    case 'follow':
      await inTurns(writers, writer => connectionOf(writer).follow())
      return nothing
    case 'observe':
      await inTurns(writers, observe)
      isObserved = true
      return nothing
    case 'write':
      return await write(order)
    case 'end':
      return await end()
    case 'check':
      return { ...nothing, lost: (await Promise.all(writers.map(lostOf))).reduce((sum, lost) => sum + lost, 0) }
  }
})

const nothing: WritersAnswer = { acknowledged: 0, told: 0, lost: 0, acknowledgedMs: 0, toldMs: 0 }

async function open({
  protocol,
  port,
  count,
  first = 0,
  isShared: all = false,
}: Extract<WritersOrder, { what: 'open' }>): Promise<void> {
  const connect: Connect = await protocols[protocol]()
  isShared = all
  while (writers.length < count)
    writers.push({
      index: first + writers.length,
      connection: undefined,
      lastWritten: 0,
      lastAcknowledged: 0,
      lastChecked: 0,
      beganMs: new Map(),
    })
  await inTurns(writers, async writer => {
    const { index, lastWritten } = writer
    const document = isShared ? first : index
    const isNew = lastWritten === 0 && document === index
    writer.connection = await connect({ port, index, document, isShared, isNew })
  })
}

/** For each, so many at once. */
async function inTurns<T>(all: readonly T[], action: (each: T) => Promise<void>): Promise<void> {
  const rest = all.values()
  const worker = async () => {
    for (const each of rest) await action(each)
  }
  await Promise.all(Array.from({ length: openAtOnce }, worker))
}

const connectionOf = ({ connection, index }: Writer): Connection => {
  if (!connection) throw new Error(`Writer ${index} is not connected.`)
  return connection
}

const observe = (writer: Writer): Promise<void> =>
  connectionOf(writer).observe(number => {
    const beganMs = writer.beganMs.get(number)
    if (beganMs === undefined) return
    toldMs.push(performance.now() - beganMs)
    writer.beganMs.delete(number)
  })

async function write(order: Extract<WritersOrder, { what: 'write' }>): Promise<WritersAnswer> {
  const endMs = performance.now() + order.forMs
  const acknowledgedMs: number[] = []
  toldMs = []
  const spread = order.everyMs / writers.length
  const one = async (writer: Writer) => {
    const numbers = Array.from({ length: order.together ?? 1 }, () => next(writer))
    const beganMs = performance.now()
    for (const number of numbers) writer.beganMs.set(number, beganMs)
    await connectionOf(writer).write(...numbers)
    for (const number of numbers) {
      acknowledgedMs.push(performance.now() - beganMs)
      writer.lastAcknowledged = Math.max(writer.lastAcknowledged, number)
    }
  }
  const stream = async (writer: Writer) => {
    if (order.everyMs > 0) await pause(spread * writer.index)
    while (performance.now() < endMs) {
      const beganMs = performance.now()
      await one(writer)
      if (order.everyMs > 0) await pause(beganMs + order.everyMs - performance.now())
    }
  }
  await Promise.all(
    writers.map(writer => {
      const streams = Array.from({ length: order.underWay }, () => stream(writer))
      return Promise.race([Promise.all(streams), connectionOf(writer).closed])
    }),
  )
  if (isObserved) await untilTold()
  for (const { beganMs } of writers) beganMs.clear()
  return {
    ...nothing,
    acknowledged: acknowledgedMs.length,
    told: toldMs.length,
    acknowledgedMs: middle(acknowledgedMs),
    toldMs: middle(toldMs),
  }
}

/** Or not within that time: of a server that does not keep up, what was told is counted. */
async function untilTold(): Promise<void> {
  const endMs = performance.now() + tellWithinMs
  while (performance.now() < endMs && writers.some(({ beganMs }) => beganMs.size > 0)) await pause(10)
}

/** A number that only grows, and that no other writer of the same document has. */
function next(writer: Writer): number {
  if (!isShared) return ++writer.lastWritten
  lastOfAll += 1
  return lastOfAll
}

async function end(): Promise<WritersAnswer> {
  const [writer] = writers
  if (!writer) throw new Error('There is no writer.')
  const number = next(writer)
  await connectionOf(writer).write(number)
  return { ...nothing, approach: await connectionOf(writer).approach?.(), text: textOf(number) }
}

const middle = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >>> 1] ?? 0

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, Math.max(0, ms)))

/** Numbers were given in order: whoever has the last that was acknowledged has all. */
async function lostOf(writer: Writer): Promise<number> {
  const there = await connectionOf(writer).read()
  const lost = Math.max(0, writer.lastAcknowledged - Math.max(there, writer.lastChecked))
  writer.lastChecked = writer.lastWritten
  return lost
}
