import { randomUUID } from 'node:crypto'
import type { SessionAnswer } from '../../../src/access/protocol.ts'
import { obey } from './child.ts'
import { localAddressOf, openRawClient, operator, type RawClient, type Refusal } from './raw-client.ts'
import { openRawSocket } from './raw-socket.ts'

/*
 * Thousands of clients that stay: each comes back when it has lost its server, with a ticket if it has one, after a back-off with
 * full jitter; goes where it is sent; and follows a server that is about to go to another one before it leaves. Some of them
 * write messages, one after another, each with a command of its own, which is repeated until it is acknowledged.
 */

export type CrowdOrder =
  /** `spread`: how many of them begin at each server; where they go later is theirs */
  | {
      readonly what: 'open'
      readonly ports: readonly number[]
      readonly spread: readonly number[]
      readonly identities: readonly string[]
    }
  /** Sockets that nobody is at the other end of but a bare websocket server. */
  | { readonly what: 'openBare'; readonly port: number; readonly count: number }
  | { readonly what: 'look' }
  /** So many of them write from now on, each to its own mailbox. */
  | { readonly what: 'write'; readonly writers: number }
  /** Resolves when the last command is acknowledged. */
  | { readonly what: 'stopWriting' }
  /** What each mailbox holds, asked at one server. */
  | { readonly what: 'count'; readonly port: number }
  | { readonly what: 'leave' }

export interface CrowdAnswer {
  readonly connected: number
  readonly byPort: Readonly<Record<number, number>>
  /** Of all that have lost a session and got another one since it was asked before, how long they were without, milliseconds. */
  readonly withoutMs: readonly number[]
  readonly acknowledged: number
  /** Acknowledged, and in no mailbox. */
  readonly lost: number
  /** In a mailbox more than once. */
  readonly doubled: number
}

const atOnce = 64
const backoff = { firstMs: 500, longestMs: 10_000 }
const pauseBetweenWritesMs = 250
const pageObjects = 500

const withoutMs: number[] = []
let members: Member[] = []
const bare: { close(): void }[] = []

interface OpenSession {
  readonly client: RawClient
  readonly port: number
}

class Member {
  readonly identity: string
  readonly #index: number
  readonly #ports: readonly number[]
  #session: OpenSession | undefined
  #resume: SessionAnswer['resume'] | undefined
  #lostMs: number | undefined
  #attempts = 0
  #next: number
  #hasLeft = false
  #arrivals: (() => void)[] = []
  readonly acknowledged = new Set<string>()
  #isWriting = false
  #written: Promise<void> = Promise.resolve()

  constructor(index: number, identity: string, ports: readonly number[], first: number) {
    this.#index = index
    this.identity = identity
    this.#ports = ports
    this.#next = first
  }

  get port(): number | undefined {
    return this.#session?.port
  }

  /** Resolves with the first session, however many attempts it takes. */
  arrive(): Promise<void> {
    this.#attempt(this.#nextPort(), undefined)
    return this.#connected()
  }

  leave(): void {
    this.#hasLeft = true
    this.#session?.client.close()
  }

  beginWriting(): void {
    this.#isWriting = true
    this.#written = this.#write()
  }

  stopWriting(): Promise<void> {
    this.#isWriting = false
    return this.#written
  }

  get writes(): boolean {
    return this.acknowledged.size > 0
  }

  #nextPort(): number {
    return this.#ports[this.#next++ % this.#ports.length] ?? 0
  }

  #connected(): Promise<void> {
    if (this.#session) return Promise.resolve()
    return new Promise(resolve => this.#arrivals.push(resolve))
  }

  #attempt(port: number, redirect: string | undefined, leaving?: OpenSession): void {
    let refusal: Refusal | undefined
    const client = openRawClient(
      {
        port,
        redirect,
        identity: this.identity,
        localAddress: localAddressOf(this.#index),
        resume: this.#resume && this.#resume.expires > Date.now() ? this.#resume : undefined,
      },
      {
        welcome: session => this.#welcome(client, port, session),
        refused: told => {
          refusal = told
        },
        redirected: ({ urls, ticket, withinMs }) => this.#follow(urls, ticket, withinMs),
        closed: () => this.#closed(client, port, refusal, leaving),
      },
    )
  }

  #welcome(client: RawClient, port: number, { resume }: SessionAnswer): void {
    const left = this.#session
    this.#session = { client, port }
    this.#resume = resume
    this.#attempts = 0
    if (this.#lostMs !== undefined || left) withoutMs.push(left ? 0 : performance.now() - (this.#lostMs ?? 0))
    this.#lostMs = undefined
    left?.client.close()
    for (const resolve of this.#arrivals.splice(0)) resolve()
  }

  #closed(client: RawClient, port: number, refusal: Refusal | undefined, leaving: OpenSession | undefined): void {
    if (this.#hasLeft) return
    const wasSession = this.#session?.client === client
    if (this.#session && !wasSession) {
      // Of a connection that another one has taken the place of nothing is to be done.
      if (leaving && this.#session === leaving) this.#pause(refusal, () => this.#moveOn(leaving, port, undefined))
      return
    }
    if (wasSession) {
      this.#session = undefined
      this.#lostMs = performance.now()
    }
    const to = refusal?.redirect
    if (to?.action === 'redirect' && to.urls?.[0]) this.#attempt(portOf(to.urls[0]), to.ticket)
    else {
      this.#pause(refusal, () => {
        if (!this.#session && !this.#hasLeft) this.#attempt(this.#nextPort(), undefined)
      })
    }
  }

  /** For as long as the server says, and after it a back-off with full jitter. */
  #pause(refusal: Refusal | undefined, then: () => void): void {
    this.#attempts += 1
    const mostMs = Math.min(backoff.longestMs, backoff.firstMs * 2 ** (this.#attempts - 1))
    setTimeout(then, (refusal?.retryAfterMs ?? 0) + Math.random() * mostMs)
  }

  #follow(urls: readonly string[] | undefined, ticket: string | undefined, withinMs: number): void {
    const port = urls?.[0] === undefined ? this.#nextPort() : portOf(urls[0])
    const from = this.#session
    if (from) setTimeout(() => this.#moveOn(from, port, ticket), Math.random() * withinMs)
  }

  /** As long as the connection that is to be left stands, a server without room is tried again. */
  #moveOn(from: OpenSession, port: number, ticket: string | undefined): void {
    if (this.#session === from && !this.#hasLeft) this.#attempt(port, ticket, from)
  }

  async #write(): Promise<void> {
    await this.#command('user.register', {
      user: this.identity,
      addresses: [],
      subscribers: [{ operator, identity: this.identity, rights: ['read', 'write', 'deposit'] }],
    })
    while (this.#isWriting) {
      const imdnMessageId = randomUUID()
      await this.#command('message.deposit', { operator, user: this.identity, object: messageOf(imdnMessageId) })
      this.acknowledged.add(imdnMessageId)
      await new Promise(resolve => setTimeout(resolve, pauseBetweenWritesMs * Math.random() * 2))
    }
  }

  /** Repeats it, as it was, at whichever server, until it is acknowledged. */
  async #command(method: string, params: object): Promise<void> {
    const commandId = randomUUID()
    for (;;) {
      const error = await this.#ask(method, { commandId, ...params })
      if (error === undefined) return
      if (error.status !== 503 && error.status !== 504 && error.status !== 429 && error.status !== 0) {
        throw new Error(`${method} was refused: ${error.status}.`)
      }
      await new Promise(resolve => setTimeout(resolve, error.retryAfterMs ?? 200))
    }
  }

  /** Status 0: the connection ended before the answer came. */
  async #ask(method: string, params: object): Promise<Refusal | undefined> {
    await this.#connected()
    const asked = this.#session
    return new Promise(resolve => {
      const look = setInterval(() => {
        if (this.#session === asked) return
        clearInterval(look)
        // What is still to come over the connection that was left comes within a moment.
        setTimeout(() => resolve({ status: 0 }), 1_000)
      }, 50)
      asked?.client.call(method, params, ({ error }) => {
        clearInterval(look)
        resolve(error)
      })
    })
  }

  /** How often each message is in the mailbox; asked until the server has the time to answer. */
  async holdings(port: number): Promise<Map<string, number>> {
    for (;;) {
      const found = await this.#askHoldings(port)
      if (found) return found
      await new Promise(resolve => setTimeout(resolve, backoff.firstMs))
    }
  }

  #askHoldings(port: number): Promise<Map<string, number> | undefined> {
    const found = new Map<string, number>()
    return new Promise(resolve => {
      const client = openRawClient(
        { port, identity: this.identity, localAddress: localAddressOf(this.#index) },
        { welcome: () => page(undefined), closed: () => resolve(undefined) },
      )
      const page = (cursor: string | undefined) =>
        client.call(
          'mailbox.sync',
          { operator, user: this.identity, limit: pageObjects, ...(cursor !== undefined && { cursor }) },
          ({ result, error }) => {
            if (error) return client.close()
            const { created, cursor: next } = result as SyncPage
            for (const { imdnMessageId } of created) found.set(imdnMessageId, (found.get(imdnMessageId) ?? 0) + 1)
            if (next !== undefined) return page(next)
            resolve(found)
            client.close()
          },
        )
    })
  }
}

interface SyncPage {
  readonly created: readonly { readonly imdnMessageId: string }[]
  readonly cursor?: string
}

const portOf = (url: string): number => Number(new URL(url).port)

const messageOf = (imdnMessageId: string) => ({
  type: 'message',
  direction: 'in',
  date: Date.now(),
  from: 'tel:+4930654321',
  to: ['tel:+4930123456'],
  conversationId: 'c1',
  contributionId: 'c1',
  imdnMessageId,
  contentType: 'text/plain',
  text: 'What is for lunch today?',
})

obey<CrowdOrder, CrowdAnswer>(async order => {
  switch (order.what) {
    case 'open':
      members = order.identities.map(
        (identity, index) => new Member(index, identity, order.ports, beginsAt(order.spread, index)),
      )
      await each(members, member => member.arrive())
      withoutMs.length = 0
      return look()
    case 'openBare':
      await each(Array.from({ length: order.count }), openBare(order.port))
      return look()
    case 'look':
      return look()
    case 'write':
      for (const member of members.slice(0, order.writers)) member.beginWriting()
      return look()
    case 'stopWriting':
      await Promise.all(members.map(member => member.stopWriting()))
      return look()
    case 'count':
      return look(await count(order.port))
    case 'leave':
      for (const member of members) member.leave()
      for (const socket of bare.splice(0)) socket.close()
      return look()
  }
})

/** Which server a client begins at. */
function beginsAt(spread: readonly number[], index: number): number {
  let left = index
  const found = spread.findIndex(count => {
    left -= count
    return left < 0
  })
  return Math.max(0, found)
}

async function each<T>(all: readonly T[], work: (one: T, index: number) => Promise<void>): Promise<void> {
  const left = all.entries()
  const worker = async () => {
    for (const [index, one] of left) await work(one, index)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

const openBare = (port: number) => (_: unknown, index: number) =>
  new Promise<void>((resolve, reject) => {
    const to = { host: '127.0.0.1', port, localAddress: localAddressOf(index) }
    const socket = openRawSocket(to, '/', 'bare', {
      open: () => socket.send('Hello'),
      text: () => resolve(),
      closed: code => reject(new Error(`A bare socket ended: ${code}.`)),
    })
    bare.push(socket)
  })

async function count(port: number): Promise<{ lost: number; doubled: number }> {
  let lost = 0
  let doubled = 0
  await each(
    members.filter(({ writes }) => writes),
    async member => {
      const found = await member.holdings(port)
      for (const id of member.acknowledged) if (!found.has(id)) lost += 1
      for (const times of found.values()) if (times > 1) doubled += 1
    },
  )
  return { lost, doubled }
}

function look(counted = { lost: 0, doubled: 0 }): CrowdAnswer {
  const byPort: Record<number, number> = {}
  for (const { port } of members) if (port !== undefined) byPort[port] = (byPort[port] ?? 0) + 1
  return {
    connected: members.filter(({ port }) => port !== undefined).length,
    byPort,
    withoutMs: withoutMs.splice(0),
    acknowledged: members.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0),
    ...counted,
  }
}
