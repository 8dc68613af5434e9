import { setTimeout as delay } from 'node:timers/promises'
import { type Figure, figureOf } from '../bench.ts'
import { cpuMsOf } from '../fan-out/peer-process.ts'
import { type Child, startChild } from '../overload/child.ts'
import type { VisitsAnswer, VisitsOrder } from './clients.child.ts'

/* Rounds of opening documents of one server, each document once, and what came of them. */

export type What = VisitsOrder['what']
export type Visitors = Child<VisitsOrder, VisitsAnswer>

export interface Opening {
  readonly name: string
  readonly server: { readonly pid: number; readonly port: number }
  readonly clients: Visitors
  readonly open: What
  /** Of all documents only each so-manieth is opened. */
  readonly every: number
  readonly p50Ms: number[]
  readonly p99Ms: number[]
  readonly cpuUs: number[]
  readonly perSecond: number[]
}

export const manyAtOnce = 64
/** So long a server works on after its clients have left, at least. */
const settleMs = 500
export const wanted = { cpuUs: 400, p50Ms: 0.6, p99Ms: 5, ofHocuspocus: 1 }

export const visitors = (): Visitors => startChild<VisitsOrder, VisitsAnswer>('../cold-open/clients.child.ts')

export const opening = (name: string, server: Opening['server'], open: What, every = 1): Opening => ({
  ...{ name, server, open, every, clients: visitors() },
  ...{ p50Ms: [], p99Ms: [], cpuUs: [], perSecond: [] },
})

/** @throws when one of them never got what it came for */
export async function visit(clients: Visitors, order: VisitsOrder): Promise<VisitsAnswer> {
  const answer = await clients.ask(order)
  if (answer.failed > 0)
    throw new Error(`${answer.failed} of ${order.count} clients (${order.what}) were never let in.`)
  return answer
}

/** Opens that no figure counts: what runs all day has long been compiled. */
export async function warmUp({ clients, open, server, every }: Opening, count: number): Promise<void> {
  await visit(clients, { what: open, port: server.port, first: 0, count, atOnce: 1, every })
}

export async function costOf(
  { server, clients, every }: Opening,
  what: What,
  first: number,
  count: number,
  atOnce = 1,
) {
  const before = await cpuMsOf(server.pid)
  const answer = await visit(clients, { what, port: server.port, first, count, atOnce, every })
  await delay(settleMs)
  return { ...answer, cpuUs: (1000 * ((await cpuMsOf(server.pid)) - before)) / count }
}

/** One turn, of twice as many documents from `first` on; answers what came of it, in words. */
export async function take(opening: Opening, first: number, opens: number): Promise<string> {
  const { name, open } = opening
  const { p50Ms, p99Ms, cpuUs } = await costOf(opening, open, first, opens)
  const { perSecond, sentAway } = await costOf(opening, open, first + opens, opens, manyAtOnce)
  opening.p50Ms.push(p50Ms)
  opening.p99Ms.push(p99Ms)
  opening.cpuUs.push(cpuUs)
  opening.perSecond.push(perSecond)
  const times = `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(1)} ms`
  const turnedAway = sentAway > 0 ? `, ${sentAway} times one was sent away and came again` : ''
  return `${name}: ${times}, ${cpuUs.toFixed(0)} µs, ${perSecond.toFixed(0)} a second${turnedAway}`
}

/** Of whatever server. */
export const figuresOf = ({ name, p50Ms, p99Ms, cpuUs, perSecond }: Opening, isBound: boolean): Figure[] => [
  figureOf(`${name}, until the content is there, p50`, p50Ms, 'ms', isBound ? { atMost: wanted.p50Ms } : {}),
  figureOf(`${name}, until the content is there, p99`, p99Ms, 'ms', isBound ? { atMost: wanted.p99Ms } : {}),
  figureOf(`${name}, server CPU`, cpuUs, 'µs'),
  figureOf(`${name}, ${manyAtOnce} at a time`, perSecond, 'opens/s'),
]

/** Of this server: what authentication alone took, in each round, is not what opening takes. */
export const beyondAuthentication = ({ name, cpuUs }: Opening, authenticationUs: readonly number[]): Figure[] => [
  figureOf(`${name}, server CPU of authentication alone`, authenticationUs, 'µs'),
  figureOf(
    `${name}, server CPU beyond authentication`,
    cpuUs.map((us, round) => us - (authenticationUs[round] ?? Number.NaN)),
    'µs',
    { atMost: wanted.cpuUs },
  ),
]

/** @param hocuspocus opens a second, of the same round */
export const besideHocuspocus = ({ name, perSecond }: Opening, hocuspocus: (round: number) => number): Figure =>
  figureOf(
    `${name} beside hocuspocus, ${manyAtOnce} at a time`,
    perSecond.map((rate, round) => rate / hocuspocus(round)),
    '×',
    { atLeast: wanted.ofHocuspocus },
  )
