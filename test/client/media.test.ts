import { randomUUID } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openFileMediaStore } from '../../src/adapters/file-media-store.ts'
import { nodeHttp } from '../../src/adapters/node-http.ts'
import { MediaDamaged, RequestRefused } from '../../src/client/errors.ts'
import type { MediaPorts, MediaReference } from '../../src/client/media.ts'
import { downloadMedia, nodeMediaPorts, uploadMedia } from '../../src/client/node.ts'
import type { Session } from '../../src/client/session.ts'
import { ConnectFailed } from '../../src/ports/client-sockets.ts'
import type { HttpReceived } from '../../src/ports/http-client.ts'
import { operatorId } from '../../src/ports/names.ts'
import { mediaTicket } from '../../src/storage/methods/media.ts'
import { messageDeposit } from '../../src/storage/methods/objects.ts'
import { mailboxGrantMethod, userRegister } from '../../src/storage/methods/users.ts'
import type { NewObject } from '../../src/storage/objects.ts'
import { type TemporaryFolder, temporaryFolder } from '../fixtures/temporary-folder.ts'
import { until } from '../fixtures/until.ts'
import { blobOf, collected, hashOf } from '../ports/media-store.contract.ts'
import { type ClientWorld, clientWorldOn, keyOf } from './world.ts'

/*
 * Media end to end: the SDK, real HTTP, whole nodes, real files. What was sent is what is received, in any part and over any
 * cut; what is wrong, too much or not the caller's is refused with the status that says so; and a server of another operator
 * that holds the mailbox fetches what its documents refer to, and nothing else.
 */
const a = operatorId('a.example')
const b = operatorId('b.example')
const alice = { operator: a, user: 'alice' }
const rights = ['read', 'write', 'deposit'] as const
const newId = () => randomUUID().replaceAll('-', '')

interface Context {
  folder: TemporaryFolder
  world: ClientWorld
  session: Session
}

const test = suite<Context>('media')

test.before.each(async context => {
  context.folder = await temporaryFolder()
  context.world = await clientWorldOn(
    async operator => ({
      media: await openFileMediaStore(join(context.folder.path, operator)),
      keys: {
        find: async identity => ({
          identity,
          credential: { kind: 'psk', key: keyOf(operator, identity) },
          ...(identity === 'provisioner' && { rights: ['provision' as const] }),
        }),
      },
    }),
    'a.example',
    'b.example',
  )
  const provisioner = await nodeAt(context, 0).session('provisioner')
  await provisioner.call(userRegister, {
    commandId: newId(),
    user: 'alice',
    addresses: ['tel:+4930123456'],
    subscribers: [
      { operator: a, identity: 'alice', rights: [...rights] },
      { operator: b, identity: 'alice', rights: ['read'] },
    ],
  })
  context.session = await nodeAt(context, 0).session('alice')
})
test.after.each(async ({ world, folder }) => {
  await world.stop()
  await folder.remove()
})

function nodeAt({ world }: Pick<Context, 'world'>, index: number) {
  const node = world.nodes[index]
  if (!node) throw new Error(`There is no node ${index}.`)
  return node
}

const upload = (session: Session, bytes: Uint8Array, ports: MediaPorts = nodeMediaPorts()) =>
  uploadMedia(session, { ...alice, data: new Uint8Array(bytes), type: 'image/png' }, ports)
const download = (
  session: Session,
  hash: string,
  part: { from?: number; to?: number } = {},
  ports = nodeMediaPorts(),
) => collected(downloadMedia(session, { ...alice, hash, ...part }, ports))

async function deposit(session: Session, media: MediaReference): Promise<void> {
  const object: NewObject = {
    type: 'file-transfer',
    direction: 'out',
    date: Date.now(),
    from: 'tel:+4930123456',
    to: ['tel:+4930654321'],
    conversationId: 'c1',
    contentType: 'message/cpim',
    media: [media],
  }
  await session.call(messageDeposit, { commandId: newId(), ...alice, object })
}

const refused = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => 'not refused',
    (error: unknown) => error,
  )
  return error instanceof RequestRefused ? `${error.status} ${error.reason}` : String(error)
}

/** Bare requests to the URL of a media, with a ticket. */
async function bare(session: Session, params: object, url: string) {
  const { ticket, path } = await session.call(mediaTicket, mediaTicket.params.parse({ ...alice, ...params }))
  const http = nodeHttp()
  const { signal } = new AbortController()
  const base = url.replace(/^ws/, 'http')
  return {
    url: base + path,
    ticket,
    send: (method: string, fields: Record<string, string> = {}, body?: Uint8Array): Promise<HttpReceived> =>
      http.send({
        method,
        url: base + path,
        fields: { authorization: `Bearer ${ticket}`, ...fields },
        signal,
        ...(body && { body }),
      }),
  }
}
const statusOf = async (answer: Promise<HttpReceived>): Promise<number> => {
  const { status, body } = await answer
  await collected(body)
  return status
}
const patch = (at: number, isLast: boolean) => ({
  'content-type': 'application/partial-upload',
  'upload-offset': String(at),
  'upload-complete': isLast ? '?1' : '?0',
})

test('what was sent is received, whole and in any part, from a file and to a browser’s fetch', async ({
  session,
  folder,
}) => {
  const bytes = blobOf(3_500_000)
  const path = join(folder.path, 'picture')
  await writeFile(path, bytes)
  const seen: number[] = []
  const data = await openAsBlob(path)
  const sent = await uploadMedia(session, { ...alice, data, type: 'image/png', progress: at => seen.push(at) })
  assert.equal(sent, { hash: hashOf(bytes), size: bytes.length, type: 'image/png' })
  assert.equal([seen[0], seen.at(-1)], [0, bytes.length])
  assert.equal(await download(session, sent.hash), bytes)
  assert.equal(await collected(downloadMedia(session, { ...alice, hash: sent.hash })), bytes)
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length), fc.nat(bytes.length), async (x, y) => {
      const [from, to] = [Math.min(x, y), Math.max(x, y)]
      if (from < to) assert.equal(await download(session, sent.hash, { from, to }), bytes.subarray(from, to))
    }),
    { numRuns: 10 },
  )
  const empty = await upload(session, new Uint8Array())
  assert.is((await download(session, empty.hash)).length, 0)
})

test('answers ranges, conditions and HEAD as HTTP has them', async context => {
  const { session } = context
  const bytes = blobOf(1_000)
  const { hash } = await upload(session, bytes)
  const { send, url, ticket } = await bare(session, { direction: 'down', hash }, nodeAt(context, 0).url)
  const head = await send('HEAD')
  assert.is(head.status, 200)
  assert.is(head.fields['content-length'], '1000')
  assert.is(head.fields['content-type'], 'image/png')
  assert.is(head.fields.etag, `"${hash}"`)
  assert.is(head.fields['repr-digest'], `sha-256=:${Buffer.from(hash, 'base64url').toString('base64')}:`)
  assert.is(head.fields['x-content-type-options'], 'nosniff')
  for (const [range, status, contentRange] of [
    ['bytes=0-0', 206, 'bytes 0-0/1000'],
    ['bytes=-10', 206, 'bytes 990-999/1000'],
    ['bytes=990-2000', 206, 'bytes 990-999/1000'],
    ['bytes=1000-', 416, 'bytes */1000'],
    ['bytes=-0', 416, 'bytes */1000'],
    ['bytes=5-4', 200, undefined],
    ['bytes=0-1,3-4', 200, undefined],
    ['lines=1-2', 200, undefined],
  ] as const) {
    const answer = await send('GET', { range })
    assert.is(answer.status, status, range)
    assert.is(answer.fields['content-range'], contentRange, range)
    await collected(answer.body)
  }
  assert.is(await statusOf(send('GET', { 'if-none-match': `"x", W/"${hash}"` })), 304)
  assert.is(await statusOf(send('GET', { range: 'bytes=0-1', 'if-range': '"other"' })), 200)
  assert.is(await statusOf(send('OPTIONS')), 204)
  assert.is((await fetch(`${url}?ticket=${ticket}`)).status, 200)
  assert.is(await statusOf(send('POST')), 405)
})

test('goes on after cuts, both ways, without sending or receiving again what had arrived', async ({ session }) => {
  const bytes = blobOf(6_000_000)
  const ports = nodeMediaPorts()
  let [cuts, sentBytes, receivedBytes] = [0, 0, 0]
  const cutting: MediaPorts = {
    ...ports,
    http: {
      async send(request) {
        sentBytes += request.body?.length ?? 0
        if (request.method === 'PATCH' && cuts < 3) {
          cuts += 1
          const cut = new AbortController()
          setTimeout(() => cut.abort(), 3)
          return ports.http.send({ ...request, signal: cut.signal })
        }
        const answer = await ports.http.send(request)
        return request.method === 'GET' ? { ...answer, body: cutBody(answer.body) } : answer
      },
    },
  }
  async function* cutBody(body: AsyncIterable<Uint8Array>) {
    let passed = 0
    for await (const chunk of body) {
      receivedBytes += chunk.length
      yield chunk
      passed += chunk.length
      if (passed > 2_000_000 && cuts++ < 5) throw new ConnectFailed('cut')
    }
  }
  const sent = await upload(session, bytes, cutting)
  assert.is(cuts, 3)
  assert.ok(sentBytes <= bytes.length + 3 * 1024 * 1024, `${sentBytes} bytes were sent`)
  assert.equal(await download(session, sent.hash, {}, cutting), bytes)
  assert.is(receivedBytes, bytes.length)
  const again = { ...cutting, http: { send: async (r: Parameters<typeof ports.http.send>[0]) => ports.http.send(r) } }
  const before = sentBytes
  await upload(session, bytes, again)
  assert.is(sentBytes, before, 'what is there is not sent again')
})

test('refuses what is wrong, with the status that says so', async context => {
  const { session } = context
  const bytes = blobOf(10_000)
  const wrong = blobOf(10_000, 2)
  const hash = hashOf(bytes)
  const facts = { direction: 'up', hash, size: bytes.length, type: 'image/png' }
  const { send, url, ticket } = await bare(session, facts, nodeAt(context, 0).url)

  assert.is(await statusOf(send('PATCH', patch(0, true), wrong)), 422)
  const begun = await send('HEAD')
  assert.equal([begun.fields['upload-offset'], begun.fields['upload-complete']], ['0', '?0'])
  assert.is(await statusOf(send('PATCH', patch(5, false), bytes)), 413)
  assert.is(await statusOf(send('PATCH', { ...patch(0, true), 'upload-length': '10001' }, bytes)), 413)
  assert.is(await statusOf(send('PATCH', { ...patch(0, true), 'content-type': 'image/png' }, bytes)), 415)
  assert.is(await statusOf(send('PATCH', { ...patch(0, true), 'upload-complete': 'yes' }, bytes)), 400)
  assert.is(await statusOf(send('PATCH', patch(0, false), bytes.subarray(0, 4_000))), 204)
  const elsewhere = await send('PATCH', patch(0, false), bytes.subarray(0, 100))
  assert.equal([elsewhere.status, elsewhere.fields['upload-offset']], [409, '4000'])
  await collected(elsewhere.body)
  assert.is(await statusOf(send('PATCH', patch(4_000, true), bytes.subarray(4_000, 9_000))), 409)
  assert.is(await statusOf(send('PATCH', patch(9_000, true), bytes.subarray(9_000))), 201)
  assert.is((await send('HEAD')).fields['upload-complete'], '?1')
  assert.is(await statusOf(send('GET')), 403)

  const http = nodeHttp()
  const { signal } = new AbortController()
  const status = (method: string, target: string, fields = {}) =>
    statusOf(http.send({ method, url: target, fields, signal }))
  assert.is(await status('GET', url), 401)
  assert.is(await status('GET', url, { authorization: 'Bearer nonsense' }), 401)
  assert.is(await status('HEAD', `${url}?ticket=${ticket}`), 401, 'a ticket to send is for no URL')
  const bearer = { authorization: `Bearer ${ticket}` }
  assert.is(await status('HEAD', url.replace(hash, hashOf(wrong)), bearer), 401)
  assert.is(await status('HEAD', url.replace('/alice/', '/bob/'), bearer), 401)
  assert.is(await status('HEAD', `${url}/..`, bearer), 404)

  const other = await nodeAt(context, 0).session('mallory')
  const ask = (params: object) => refused(other.call(mediaTicket, mediaTicket.params.parse({ ...alice, ...params })))
  assert.is(await ask({ direction: 'down', hash }), '403 NOT_AUTHORISED')
  assert.is(await ask(facts), '403 NOT_AUTHORISED')
  const tooLarge = mediaTicket.params.parse({ ...alice, ...facts, size: 2 ** 40 })
  assert.is(await refused(session.call(mediaTicket, tooLarge)), '409 MEDIA_TOO_LARGE')
})

test('a second device goes on with what the first, whose connection hangs, has begun', async context => {
  const bytes = blobOf(400_000)
  const facts = { direction: 'up', hash: hashOf(bytes), size: bytes.length, type: 'image/png' }
  const first = await bare(context.session, facts, nodeAt(context, 0).url)
  assert.is(await statusOf(first.send('PATCH', patch(0, false), bytes.subarray(0, 100_000))), 204)
  const hanging = fetch(first.url, {
    method: 'PATCH',
    headers: { authorization: `Bearer ${first.ticket}`, ...patch(100_000, false) },
    body: new ReadableStream({ start: stream => stream.enqueue(bytes.subarray(100_000, 150_000)) }),
    duplex: 'half',
  } as RequestInit)
  const second = await bare(context.session, facts, nodeAt(context, 0).url)
  // It is told so, or finds its connection ended: not every client hears an answer before it has sent all.
  let taken: number | undefined
  void hanging
    .then(
      ({ status }) => status,
      () => 409,
    )
    .then(status => {
      taken = status
    })
  // How far the first has come until then is the network's affair.
  await until(() => second.send('HEAD').then(() => taken), { what: 'it is taken over' })
  assert.is(taken, 409)
  const offset = Number((await second.send('HEAD')).fields['upload-offset'])
  assert.ok(offset >= 100_000 && offset <= 150_000, `it goes on at ${offset}`)
  await upload(context.session, bytes)
  assert.equal(await download(context.session, facts.hash), bytes)
})

test('tells what was changed on its way', async context => {
  const bytes = blobOf(50_000)
  const wrongPorts = nodeMediaPorts()
  const { hash } = await upload(context.session, bytes)
  const lying: MediaPorts = {
    ...wrongPorts,
    http: {
      async send(request) {
        const answer = await wrongPorts.http.send(request)
        if (request.method !== 'GET') return answer
        const body = await collected(answer.body)
        body[7] = (body[7] ?? 0) ^ 1
        return {
          ...answer,
          body: (async function* () {
            yield body
          })(),
        }
      },
    },
  }
  const error = await download(context.session, hash, {}, lying).catch((error: unknown) => error)
  assert.instance(error, MediaDamaged)
})

test('another operator that holds the mailbox fetches what its documents refer to, and keeps it', async context => {
  const [atA, atB] = [nodeAt(context, 0), nodeAt(context, 1)]
  await until(() => atA.node.federation.linked(b).length === 1, { what: 'they are linked' })
  const { session } = context
  await session.call(mailboxGrantMethod, {
    commandId: newId(),
    ...alice,
    grantee: b,
    fingerprint: atB.fingerprint,
    lifetimeMs: 3_600_000,
  })
  const [known, secret] = [blobOf(700_000), blobOf(1_000, 3)]
  await deposit(session, await upload(session, known))
  const unreferred = await upload(session, secret)
  const atOther = await atB.session('alice')
  const got = await until(() => download(atOther, hashOf(known)).catch(() => undefined), {
    what: 'it has the documents',
  })
  assert.equal(got, known)
  assert.is(atB.telemetry.counter('cpns_media_fetched_total'), 1)
  assert.is(await refused(download(atOther, unreferred.hash)), '404 MEDIA_UNKNOWN')
  await atA.down()
  assert.equal(await download(atOther, hashOf(known), { from: 5, to: 600_000 }), known.subarray(5, 600_000))
  await atA.up()
})

test.run()
