import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { obey } from './child.ts'
import { localAddressOf, openRawClient, operator, type RawClient } from './raw-client.ts'
import { type Second, Seconds } from './samples.ts'

/*
 * Clients that are there already, each with a Personal Network that it reads now and then, whatever became of its last request:
 * how long the answer takes is counted from when the request was due.
 */

export type SessionsOrder =
  | { readonly what: 'open'; readonly port: number; readonly identities: readonly string[] }
  /** Requests of all together. */
  | { readonly what: 'begin'; readonly perSecond: number }
  | { readonly what: 'read' }

export interface SessionsAnswer {
  readonly open: number
  /** By the second in which the answers came; also those that have not come yet, with how long that is. */
  readonly latencies: readonly Second[]
}

const clients = new Map<RawClient, string>()
const latencies = new Seconds()
const asked = new Set<number>()
let stop = () => {}

obey<SessionsOrder, SessionsAnswer>(async order => {
  if (order.what === 'open') {
    for (const [at, identity] of order.identities.entries())
      while (!(await open(order.port, identity, at))) await patience()
  }
  if (order.what === 'begin') begin(order.perSecond)
  if (order.what === 'read') for (const sinceMs of asked) latencies.add(Date.now(), performance.now() - sinceMs)
  return { open: clients.size, latencies: latencies.take() }
})

const patience = () => delay(500)

/** Answers whether it was let in: a server that has just started may have too much to do. */
function open(port: number, identity: string, index: number): Promise<boolean> {
  const pnId = `of-${identity}`
  return new Promise((resolve, reject) => {
    const client = openRawClient(
      { port, identity, localAddress: localAddressOf(index) },
      {
        welcome() {
          client.call('pn.establish', { commandId: randomUUID(), alias: 'Bench', pnId }, ({ error }) => {
            // By a run before this one, perhaps.
            if (error && error.status !== 409) return reject(new Error(`pn.establish was refused: ${error.status}.`))
            clients.set(client, pnId)
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

function begin(perSecond: number): void {
  stop()
  const all = [...clients]
  let next = 0
  let dueMs = performance.now()
  const timer = setInterval(() => {
    for (; dueMs <= performance.now(); dueMs += 1000 / perSecond) {
      const [client, pnId] = all[next++ % all.length] ?? []
      if (client && pnId !== undefined) ask(client, pnId, dueMs)
    }
  }, 2)
  stop = () => clearInterval(timer)
}

function ask(client: RawClient, pnId: string, dueMs: number): void {
  asked.add(dueMs)
  client.call('pn.inventory', { home: operator, pnId }, () => {
    asked.delete(dueMs)
    latencies.add(Date.now(), performance.now() - dueMs)
  })
}
