/*
 * Property: whatever clients, application servers, administrators and other operators do, at the most verbose level, no server's log has a
 * key, a ticket, a token, a message, a media or a value of a command: all are planted here with values that are known, in what succeeds
 * and in what is refused, and looked for as they are and in every usual encoding. Fails if one of them is logged "for a while", or with
 * an error.
 */
import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { cpns } from '../../examples/support/server-process.ts'
import { channelOpen } from '../../src/channels/methods.ts'
import {
  connect,
  documentId,
  downloadMedia,
  messageDeposit,
  nodeMediaPorts,
  operatorId,
  sessionTicket,
  uploadMedia,
  userRegister,
} from '../../src/client/node.ts'
import { mediaTicket } from '../../src/storage/methods/media.ts'
import type { NewObject } from '../../src/storage/objects.ts'
import { until } from '../fixtures/until.ts'
import { assertNoneIn, secretsOfFolder } from './log-secrets.ts'
import { activeIn, arrived, establish, linked, openStage, type Stage } from './stage.ts'

const [a, b] = [operatorId('a.example'), operatorId('b.example')]
const home = { home: a, pnId: 'home' }
const alice = { operator: a, user: 'alice' }
/** In everything that somebody says; nothing else has it. */
const planted = 'Planted-7Hq2-said-by-a-user'

async function verboseFolder(stage: Stage, operator: string) {
  const folder = await stage.folder(operator, operator)
  const text = await readFile(folder.config, 'utf8')
  const verbose = text
    .replace('level = "info"', 'level = "debug"')
    .replace('# [admin]\n# listen = "127.0.0.1:4690"', '[admin]\nlisten = "127.0.0.1:0"')
  await writeFile(folder.config, verbose)
  return folder
}

test('nothing of it is in a log', async () => {
  await using stage = await openStage()
  const folders = [await verboseFolder(stage, a), await verboseFolder(stage, b)] as const
  await cpns('peer', 'trust', folders[1].manifest, '--config', folders[0].config)
  await cpns('peer', 'trust', folders[0].manifest, '--config', folders[1].config)
  const [atA, atB] = await Promise.all([stage.start(folders[0]), stage.start(folders[1])])
  await linked(atA, atB)
  const secrets: (string | Uint8Array)[] = [planted]

  // A Personal Network of two operators, and registrations that succeed and fail.
  const owner = await stage.session(atA, 'owner')
  await establish(owner, home, ['a.example/gateway', 'a.example/watch'], [folders[1]])
  const gateway = await stage.gateway(atA, 'gateway', home)
  for (const server of [atA, atB]) {
    const { sessionKey } = await stage.register(gateway, home, server, 'watch')
    secrets.push(sessionKey)
  }
  await until(async () => activeIn(await arrived(owner, home)).length === 2, { what: 'both watches are active' })

  // Tickets, messages and media.
  await stage.subscribed(folders[0], 'front', ['provision', 'deposit'])
  const front = await stage.session(atA, 'front')
  await front.call(userRegister, {
    ...{ commandId: randomUUID(), user: 'alice', addresses: ['tel:+4930123456'] },
    subscribers: [{ operator: a, identity: 'owner', rights: ['read', 'write', 'deposit'] }],
  })
  const object: NewObject = {
    ...{ type: 'message', direction: 'in', from: 'tel:+4930654321', to: ['tel:+4930123456'] },
    ...{ conversationId: 'lunch', date: Date.now(), contentType: 'text/plain', text: planted },
  }
  await owner.call(messageDeposit, { commandId: randomUUID(), ...alice, object })
  const data = new TextEncoder().encode(planted.repeat(1_000))
  const media = await uploadMedia(owner, { ...alice, data, type: 'image/png' }, nodeMediaPorts())
  for await (const _ of downloadMedia(owner, { ...alice, hash: media.hash }, nodeMediaPorts()));
  const document = documentId({ kind: 'pn', owner: a, pnId: home.pnId })
  const { ticket } = await owner.call(sessionTicket, { document })
  const forMedia = await owner.call(mediaTicket, { ...alice, direction: 'down', hash: media.hash })
  secrets.push(ticket, forMedia.ticket)
  const http = atA.process.clientUrl.replace(/^ws/, 'http')
  const got = await fetch(`${http}${forMedia.path}?ticket=${forMedia.ticket}`)
  assert.is((await got.text()).slice(0, planted.length), planted)
  await fetch(`${http}${forMedia.path}?ticket=${forMedia.ticket.slice(0, -2)}AA`)

  // An application server, with its credential and with one that is none.
  const { urls, credential } = await owner.call(channelOpen, { application: 'weather.example', instance: 'phone-1' })
  secrets.push(credential)
  for (const [bearer, expected] of [
    [credential, 201],
    [`${credential}x`, 401],
  ] as const) {
    const headers = { authorization: `Bearer ${bearer}`, ttl: '60', 'idempotency-key': randomUUID() }
    const { status } = await fetch(urls[0] ?? '', { method: 'POST', body: planted, headers })
    assert.is(status, expected)
  }

  // What is refused: a wrong key, values that are none, texts that are no messages.
  const wrongKey = new Uint8Array(32).fill(0x5a).with(3, 9)
  secrets.push(wrongKey)
  const wrong = {
    ...(await stage.options('owner', atA)),
    credential: { kind: 'psk', key: wrongKey },
    reconnect: false,
  } as const
  assert.instance(await connect(wrong).catch((error: unknown) => error), Error)
  const refused = { commandId: randomUUID(), ...alice, object: { ...object, type: planted } } as never
  assert.instance(await owner.call(messageDeposit, refused).catch((error: unknown) => error), Error)

  // Administrators, with a token, with none, and with a trace into the log.
  const token = (await cpns('token', 'create', 'root', '--scope', 'operate', '--config', folders[0].config)).trim()
  secrets.push(token)
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const ask = (path: string, init: RequestInit) => fetch(`${atA.process.adminUrl}${path}`, { headers, ...init })
  const traced = { traced: { kind: 'client', operator: a, identity: 'owner' }, to: 'log' }
  assert.is((await ask('/v1/traces', { method: 'POST', body: JSON.stringify(traced) })).status, 201)
  await owner.call(messageDeposit, { commandId: randomUUID(), ...alice, object })
  await atA.process.seen('the trace', ({ event }) => event === 'trace.seen')
  assert.is((await ask('/v1/status', { headers: { authorization: `Bearer ${token}x` } })).status, 401)
  assert.is((await ask('/v1/manifests', { method: 'POST', body: JSON.stringify({ manifest: planted }) })).status, 200)

  for (const { process, home } of [atA, atB]) {
    assert.is(await process.stop(), 0)
    assert.ok(process.log.some(({ level }) => level === 'debug' || level === 'info'))
    assertNoneIn(process.log, [...secrets, ...(await secretsOfFolder(home.config))], home.operator)
  }
})

test('a secret that stood in a log would be found', () => {
  const key = new Uint8Array(32).fill(7).with(0, 200)
  for (const encoding of ['base64url', 'base64', 'hex'] as const) {
    const line = { event: 'x', fields: { message: `at ${Buffer.from(key).toString(encoding)}.` } }
    assert.throws(() => assertNoneIn([line], [key], 'nobody'), /The log of nobody has a secret/)
  }
  assert.throws(() => assertNoneIn([{ message: `"${planted}"` }], [planted], 'nobody'), /has a secret/)
  assertNoneIn([{ message: 'all is well' }], [key, planted], 'nobody')
})

test.run()
