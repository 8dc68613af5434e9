import { randomUUID } from 'node:crypto'
import { constants, setPriority } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { obey } from './child.ts'
import { localAddressOf, openRawClient, operator, type RawClient } from './raw-client.ts'
import { type Second, Seconds } from './samples.ts'

/*
 * Clients that are there already, each with a Personal Network that it reads, and perhaps changes, now and then, whatever became of
 * its last request. How long the answer takes is counted from when the request is written: how late that is after it was due is this
 * program's own doing, not the server's, and said apart.
 */

export type SessionsOrder =
  /** Of the one operator of these benchmarks, if none is named. */
  | { readonly what: 'open'; readonly port: number; readonly identities: readonly string[]; readonly operator?: string }
  /** Requests of all together, and every how many of them changes something; left out: none does. */
  | { readonly what: 'begin'; readonly perSecond: number; readonly writeEvery?: number }
  | { readonly what: 'read' }

export interface SessionsAnswer {
  readonly open: number
  /** By the second in which the answers came; also those that have not come yet, with how long that is. */
  readonly latencies: readonly Second[]
  /** How late requests were written. */
  readonly lateness: readonly Second[]
  /** The same of changes, which are answered when they are on disk. */
  readonly writes: readonly Second[]
}

const clients = new Map<RawClient, Home>()
const reads = { latencies: new Seconds(), asked: new Set<number>() }
const writes = { latencies: new Seconds(), asked: new Set<number>() }
const lateness = new Seconds()
let stop = () => {}

interface Home {
  readonly home: string
  readonly pnId: string
}

// As far as it may: clients have machines of their own, and do not wait for their processor while a server is flooded.
try {
  setPriority(constants.priority.PRIORITY_HIGHEST)
} catch {
  // Its lateness shows it.
}

obey<SessionsOrder, SessionsAnswer>(async order => {
  if (order.what === 'open') {
    const { port, identities, operator: of = operator } = order
    for (const [at, identity] of identities.entries()) while (!(await open(port, of, identity, at))) await patience()
  }
  if (order.what === 'begin') begin(order.perSecond, order.writeEvery ?? Number.POSITIVE_INFINITY)
  if (order.what === 'read') {
    for (const { asked, latencies } of [reads, writes])
      for (const sinceMs of asked) latencies.add(Date.now(), performance.now() - sinceMs)
  }
  return {
    open: clients.size,
    latencies: reads.latencies.take(),
    writes: writes.latencies.take(),
    lateness: lateness.take(),
  }
})

const patience = () => delay(500)

/** Answers whether it was let in: a server that has just started may have too much to do. */
function open(port: number, of: string, identity: string, index: number): Promise<boolean> {
  const pnId = `of-${identity}`
  return new Promise((resolve, reject) => {
    const client = openRawClient(
      { port, operator: of, identity, localAddress: localAddressOf(index) },
      {
        welcome() {
          client.call('pn.establish', { commandId: randomUUID(), alias: 'Bench', pnId }, ({ error }) => {
            // By a run before this one, perhaps.
            if (error && error.status !== 409) return reject(new Error(`pn.establish was refused: ${error.status}.`))
            clients.set(client, { home: of, pnId })
            resolve(true)
          })
        },
        closed() {
          clients.delete(client)
          resolve(false)
        },
      },
    )
  })
}

function begin(perSecond: number, writeEvery: number): void {
  stop()
  const all = [...clients]
  let next = 0
  let dueMs = performance.now()
  const timer = setInterval(() => {
    for (; dueMs <= performance.now(); dueMs += 1000 / perSecond) {
      const [client, network] = all[next++ % all.length] ?? []
      if (client && network) ask(client, network, dueMs, next % writeEvery === 0)
    }
  }, 2)
  stop = () => clearInterval(timer)
}

function ask(client: RawClient, network: Home, dueMs: number, isWrite: boolean): void {
  const { latencies, asked } = isWrite ? writes : reads
  const writtenMs = performance.now()
  lateness.add(Date.now(), writtenMs - dueMs)
  asked.add(writtenMs)
  const answered = () => {
    asked.delete(writtenMs)
    latencies.add(Date.now(), performance.now() - writtenMs)
  }
  if (isWrite) client.call('pn.change', { commandId: randomUUID(), ...network, alias: `Bench ${dueMs}` }, answered)
  else client.call('pn.inventory', network, answered)
}
