import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type ClientListener, ConnectFailed } from '../../src/ports/client-sockets.ts'
import type { AnswerRequest, HttpRequest } from '../../src/ports/http.ts'
import type { HttpClient } from '../../src/ports/http-client.ts'
import { until } from '../fixtures/until.ts'
import { rejection } from './log-store.contract.ts'
import { blobOf, collected, pieces } from './media-store.contract.ts'

/*
 * The contract of requests, run for every pair of a listener and a client. It proves that heads and bodies arrive as they were
 * sent; that a refusal is heard although nobody has read the body; and that each end notices when the other breaks off in the
 * middle of a body. An adapter fails here if it takes a body that was cut for a whole one.
 */
export interface HttpPlace {
  listener(): ClientListener
  readonly client: HttpClient
}

export function httpContract(name: string, place: HttpPlace): void {
  const test = suite(`requests: ${name}`)
  const listeners: ClientListener[] = []

  async function serving(answer: AnswerRequest): Promise<string> {
    const listener = place.listener()
    listeners.push(listener)
    await listener.listen(() => ({ accept: false, status: 404, reason: 'no websockets' }), answer)
    return listener.url().replace(/^ws/, 'http')
  }
  const { signal } = new AbortController()
  const send = (url: string, method = 'GET', body?: Uint8Array, fields = {}) =>
    place.client.send({ method, url, fields, signal, ...(body && { body }) })

  test.after.each(async () => {
    for (const listener of listeners.splice(0)) await listener.stop()
  })

  test('carries heads and bodies both ways', async () => {
    const heard: HttpRequest[] = []
    const url = await serving(async request => {
      heard.push(request)
      const body = await collected(request.body)
      return { status: 201, fields: { 'x-answer': 'yes', 'content-length': String(body.length) }, body: pieces(body) }
    })
    for (const length of [0, 1, 1_000_000]) {
      const sent = blobOf(length)
      const answer = await send(`${url}/v1/x%20y?z=1`, 'PATCH', sent, { 'x-asked': 'so' })
      assert.is(answer.status, 201)
      assert.is(answer.fields['x-answer'], 'yes')
      assert.equal(await collected(answer.body), sent)
    }
    assert.is(heard[0]?.method, 'PATCH')
    assert.is(heard[0]?.target, '/v1/x%20y?z=1')
    assert.is(heard[0]?.fields['x-asked'], 'so')
    assert.ok(heard[0]?.remoteAddress)
  })

  test('answers HEAD without a body, and what is nobody’s with 404', async () => {
    const url = await serving(async ({ target }) =>
      target === '/here' ? { status: 200, fields: { 'content-length': '5' }, body: pieces(blobOf(5)) } : undefined,
    )
    const head = await send(`${url}/here`, 'HEAD')
    assert.is(head.fields['content-length'], '5')
    assert.is((await collected(head.body)).length, 0)
    const absent = await send(`${url}/there`)
    assert.is(absent.status, 404)
    await collected(absent.body)
  })

  test('tells a refusal although nobody reads the body', async () => {
    const url = await serving(async () => ({ status: 413, body: 'too much' }))
    const answer = await send(`${url}/x`, 'PATCH', new Uint8Array(2_000_000))
    assert.is(answer.status, 413)
    assert.is(new TextDecoder().decode(await collected(answer.body)), 'too much')
  })

  test('never takes a body that broke off for a whole one', async () => {
    const url = await serving(async () => ({ status: 200, body: pieces(blobOf(500_000), 65_536, 3) }))
    const whole = async () => collected((await send(`${url}/x`)).body)
    assert.instance(await rejection(whole()), ConnectFailed)
  })

  test('ends a body that is sent when the client has gone', async () => {
    const state = { ended: false }
    async function* endless() {
      try {
        for (;;) {
          yield blobOf(1_000)
          await new Promise(resolve => setTimeout(resolve, 1))
        }
      } finally {
        state.ended = true
      }
    }
    const url = await serving(async () => ({ status: 200, body: endless() }))
    for await (const _chunk of (await send(`${url}/down`)).body) break
    await until(() => state.ended, { what: 'the body is ended' })
  })

  test('fails where nobody is', async () => {
    const url = await serving(async () => ({ status: 204 }))
    for (const listener of listeners.splice(0)) await listener.stop()
    assert.instance(await rejection(send(`${url}/x`)), ConnectFailed)
  })

  test.run()
}
