import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { obey } from './child.ts'
import { pskOf } from './raw-client.ts'

/*
 * An operator's subscriber database of limited capacity: it looks one subscriber up after another, in the order in which it was
 * asked, each in the same time, whoever still waits for the answer. Every subscriber exists.
 */

export interface KeyServerOrder {
  readonly lookupMs: number
}

export interface KeyServerAnswer {
  readonly port: number
}

const waiting: (() => void)[] = []
let lookupMs = 0
let dueMs = 0

/** A lookup that the timer was late for is made up for: so it is as many a second as it should be. */
function lookUp(): void {
  dueMs = Math.max(dueMs, performance.now() - lookupMs) + lookupMs
  setTimeout(
    () => {
      waiting.shift()?.()
      if (waiting.length > 0) lookUp()
    },
    Math.max(0, dueMs - performance.now()),
  )
}

function tell(identity: string, response: ServerResponse): void {
  const key = Buffer.from(pskOf(identity)).toString('base64url')
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ identity, kind: 'psk', key, rights: ['provision', 'deposit'] }))
}

const server = createServer((request, response) => {
  const identity = decodeURIComponent(request.url?.split('/').at(-1) ?? '')
  if (waiting.push(() => tell(identity, response)) === 1) lookUp()
})
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))

obey<KeyServerOrder, KeyServerAnswer>(order => {
  lookupMs = order.lookupMs
  return { port: (server.address() as AddressInfo).port }
})
