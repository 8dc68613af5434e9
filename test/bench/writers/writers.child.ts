import { randomUUID } from 'node:crypto'
import { createEncoder, toUint8Array, writeVarUint, writeVarUint8Array } from 'lib0/encoding'
import { Doc, encodeStateVector } from 'yjs'
import { z } from 'zod'
import { documentsPath, sessionTicket } from '../../../src/access/protocol.ts'
import { documentId, operatorId } from '../../../src/client/node.ts'
import { obey } from '../overload/child.ts'
import { localAddressOf, openRawClient, operator, type RawClient } from '../overload/raw-client.ts'
import { openRawSocket } from '../overload/raw-socket.ts'

/*
 * Clients that write, each to a Personal Network of its own: the alias again and again, to a text with a number that only grows. They
 * know what was acknowledged, and can say of a server whether it still has it; each may have an observer beside it.
 */

export type WritersOrder =
  /** All connect, and establish their networks; again after a server was started again. */
  | { readonly what: 'open'; readonly port: number; readonly count: number }
  /** Somebody follows each network by y-protocol from now on. */
  | { readonly what: 'observe' }
  /** All write for so long, or until they are closed: each has so many writes under way, or one begun every so often. */
  | { readonly what: 'write'; readonly forMs: number; readonly underWay: number; readonly everyMs: number }
  /** What was acknowledged and is not there. */
  | { readonly what: 'check' }

export interface WritersAnswer {
  readonly acknowledged: number
  /** Writes that their observers were told of. */
  readonly told: number
  readonly lost: number
  /** From a write to its acknowledgement, median over all of this order. */
  readonly medianMs: number
}

interface Writer {
  readonly index: number
  client: RawClient | undefined
  /** Resolves when the connection has ended. */
  closed: Promise<void>
  lastWritten: number
  lastAcknowledged: number
}

const openAtOnce = 32
const writers: Writer[] = []
let port = 0
let told = 0

obey<WritersOrder, WritersAnswer>(async order => {
  told = 0
  switch (order.what) {
    case 'open':
      port = order.port
      while (writers.length < order.count)
        writers.push({
          index: writers.length,
          client: undefined,
          closed: Promise.resolve(),
          lastWritten: 0,
          lastAcknowledged: 0,
        })
      await inTurns(writers, connect)
      return nothing
    case 'observe':
      await inTurns(writers, observe)
      return nothing
    case 'write':
      return await write(order)
    case 'check':
      return { ...nothing, lost: (await Promise.all(writers.map(lostOf))).reduce((sum, lost) => sum + lost, 0) }
  }
})

const nothing: WritersAnswer = { acknowledged: 0, told: 0, lost: 0, medianMs: 0 }

/** For each, so many at once. */
async function inTurns<T>(all: readonly T[], action: (each: T) => Promise<void>): Promise<void> {
  const rest = all.values()
  const worker = async () => {
    for (const each of rest) await action(each)
  }
  await Promise.all(Array.from({ length: openAtOnce }, worker))
}

const identityOf = ({ index }: Writer): string => `client-${index}`
const networkOf = ({ index }: Writer) => ({ home: operator, pnId: `n-${index}` })
const aliasOf = (number: number): string => `The alias of the network: ${number}.`

async function connect(writer: Writer): Promise<void> {
  const welcome = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  writer.closed = closed.promise
  writer.client = openRawClient(
    { port, identity: identityOf(writer), localAddress: localAddressOf(writer.index) },
    {
      welcome: () => welcome.resolve(),
      refused: ({ status }) => welcome.reject(new Error(`A writer was refused with ${status}.`)),
      closed(code) {
        welcome.reject(new Error(`A writer was closed with ${code}.`))
        closed.resolve()
      },
    },
  )
  await welcome.promise
  if (writer.lastWritten > 0) return
  const { pnId } = networkOf(writer)
  await call(writer, 'pn.establish', { commandId: randomUUID(), alias: aliasOf(0), pnId })
}

function call(writer: Writer, method: string, params: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    writer.client?.call(method, params, ({ result, error }) =>
      error ? reject(new Error(`${method} was refused with ${error.status}.`)) : resolve(result),
    )
  })
}

async function observe(writer: Writer): Promise<void> {
  const { pnId } = networkOf(writer)
  const document = documentId({ kind: 'pn', owner: operatorId(operator), pnId })
  const { ticket } = sessionTicket.result.parse(await call(writer, sessionTicket.method, { document }))
  const encoder = createEncoder()
  writeVarUint(encoder, 0)
  writeVarUint(encoder, 0)
  writeVarUint8Array(encoder, encodeStateVector(new Doc()))
  const synchronised = Promise.withResolvers<void>()
  const socket = openRawSocket(
    { host: '127.0.0.1', port, localAddress: localAddressOf(writer.index) },
    `${documentsPath}${document}?ticket=${encodeURIComponent(ticket)}`,
    '',
    {
      open: () => socket.send(toUint8Array(encoder)),
      binary() {
        synchronised.resolve()
        told += 1
      },
      closed: code => synchronised.reject(new Error(`An observer was closed with ${code}.`)),
    },
  )
  await synchronised.promise
}

async function write(order: Extract<WritersOrder, { what: 'write' }>): Promise<WritersAnswer> {
  const endMs = performance.now() + order.forMs
  const latenciesMs: number[] = []
  const spread = order.everyMs / writers.length
  const one = async (writer: Writer) => {
    const number = ++writer.lastWritten
    const beganMs = performance.now()
    await call(writer, 'pn.change', { commandId: randomUUID(), ...networkOf(writer), alias: aliasOf(number) })
    latenciesMs.push(performance.now() - beganMs)
    writer.lastAcknowledged = Math.max(writer.lastAcknowledged, number)
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
      return Promise.race([Promise.all(streams), writer.closed])
    }),
  )
  latenciesMs.sort((one, other) => one - other)
  const medianMs = latenciesMs[latenciesMs.length >>> 1] ?? 0
  return { acknowledged: latenciesMs.length, told, lost: 0, medianMs }
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, Math.max(0, ms)))

const shown = z.object({ alias: z.string() })

/** Numbers were given in order: whoever has the last that was acknowledged has all. */
async function lostOf(writer: Writer): Promise<number> {
  const { alias } = shown.parse(await call(writer, 'pn.inventory', networkOf(writer)))
  const there = Number(/(\d+)\.$/.exec(alias)?.[1])
  return Math.max(0, writer.lastAcknowledged - there)
}
