import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { documentOpen, documentsPath, sessionTicket } from '../../../src/access/protocol.ts'
import { documentId, operatorId } from '../../../src/client/node.ts'
import { localAddressOf, openRawClient, operator, type RawClient, type Refusal } from '../overload/raw-client.ts'
import { type Approach, approachOf, type Connection, numberIn, opened, type Place, textOf } from './connection.ts'
import { firstStep, firstStepOn } from './y-protocol.ts'

/* This server: each client has a Personal Network, whose alias it changes by commands. One is acknowledged when it is durable. */

const shown = z.object({ alias: z.string() })

export async function connectOurs({ port, index, document: of, isNew }: Place): Promise<Connection> {
  const network = { home: operator, pnId: `n-${of}` }
  const { client, closed } = await admitted(port, index, `client-${of}`)
  const document = documentId({ kind: 'pn', owner: operatorId(operator), pnId: network.pnId })
  const answer = (method: string, params: object) =>
    new Promise<{ readonly result?: unknown; readonly error?: Refusal }>(resolve =>
      client.call(method, params, resolve),
    )
  async function call(method: string, params: object): Promise<unknown> {
    const { result, error } = await answer(method, params)
    if (error) throw new Error(`${method} was refused with ${error.status}.`)
    return result
  }
  if (isNew) await establish()
  async function establish(): Promise<void> {
    const { error } = await answer('pn.establish', { commandId: randomUUID(), alias: textOf(0), pnId: network.pnId })
    // Of a life before this one, perhaps.
    if (error && error.status !== 409) throw new Error(`pn.establish was refused with ${error.status}.`)
  }
  async function approach(): Promise<Approach> {
    const { ticket } = sessionTicket.result.parse(await call(sessionTicket.method, { document }))
    return approachOf(`${documentsPath}${document}?ticket=${encodeURIComponent(ticket)}`, [firstStep])
  }
  return {
    closed,
    async write(...numbers) {
      const params = numbers.map(number => ({ commandId: randomUUID(), ...network, alias: textOf(number) }))
      const [first] = params
      if (first && params.length === 1) return void (await call('pn.change', first))
      await new Promise<void>((resolve, reject) => {
        client.callTogether('pn.change', params, answers => {
          const refused = answers.find(({ error }) => error)?.error
          if (refused) reject(new Error(`pn.change was refused with ${refused.status}.`))
          else resolve()
        })
      })
    },
    approach,
    async observe(told) {
      const there = Promise.withResolvers<void>()
      const { path } = await approach()
      const { socket } = await opened(port, index, path, frame => {
        there.resolve()
        const number = numberIn(frame)
        if (number !== undefined) told(number)
      })
      socket.send(firstStep)
      await there.promise
    },
    async follow() {
      const { channel } = documentOpen.result.parse(await call(documentOpen.method, { document }))
      client.sendBinary(firstStepOn(channel))
    },
    async read() {
      return numberIn(shown.parse(await call('pn.inventory', network)).alias) ?? 0
    },
  }
}

interface Admitted {
  readonly client: RawClient
  readonly closed: Promise<void>
}

const patienceMs = 500

/** A server that has just started, on a machine that does other things as well, may have too much to do at first. */
async function admitted(port: number, index: number, identity: string): Promise<Admitted> {
  for (;;) {
    const admitted = await attempt(port, index, identity)
    if (admitted) return admitted
    await delay(patienceMs)
  }
}

function attempt(port: number, index: number, identity: string): Promise<Admitted | undefined> {
  const closed = Promise.withResolvers<void>()
  return new Promise(resolve => {
    const client = openRawClient(
      { port, identity, localAddress: localAddressOf(index) },
      {
        welcome: () => resolve({ client, closed: closed.promise }),
        closed() {
          resolve(undefined)
          closed.resolve()
        },
      },
    )
  })
}
