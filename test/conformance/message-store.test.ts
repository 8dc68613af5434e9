/*
 * Proves, in a real browser against servers in processes of their own: a page that goes offline goes on with all that it had,
 * also when it is loaded again; what its user does there is shown at once; and when it comes back at another server of the
 * operator, because its own was killed, everything arrives, in both directions, and of two who flagged one message the later
 * one has it. It would fail if a change or a message were lost on the way, or a token were good only where it was given. A client
 * that is always online is in the same page: it has the policy of the operator, and is at the other server by itself.
 *
 * Where no Chromium runs it is skipped and says so; with BROWSER_REQUIRED=1 it fails.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { letPagesIn } from '../../examples/support/operators.ts'
import {
  type Flag,
  type MessageStore,
  messageDeposit,
  openMemoryReplica,
  openMessageStore,
  operatorId,
  userRegister,
} from '../../src/client/node.ts'
import { browserProgram, browserRunsHere } from '../fixtures/browser.ts'
import { until } from '../fixtures/until.ts'
import { linked, openStage } from './stage.ts'

const a = operatorId('a.example')
const alice = { operator: a, user: 'alice' }
const address = 'tel:+4930123456'
const container = 'c-lunch'
const sentAt = 1_795_000_000_000

test('a page comes back from offline at another server, and nothing is lost', async () => {
  if (!browserRunsHere()) return
  await using stage = await openStage()
  await using program = await browserProgram(join(import.meta.dirname, 'message-store.browser.ts'))
  const founder = await stage.folder('first', a)
  const folders = [founder, await stage.folder('second', a, founder)] as const
  for (const folder of folders) await letPagesIn(folder, program.origin)
  const [first, second] = await Promise.all([stage.start(folders[0]), stage.start(folders[1])])
  await linked(first, second)
  for (const { home } of [first, second]) await stage.subscribed(home, 'function', ['deposit', 'provision'])
  const deposits = await stage.session(second, 'function')
  await deposits.call(userRegister, {
    commandId: randomUUID(),
    user: alice.user,
    addresses: [address],
    subscribers: [{ operator: a, identity: 'alice', rights: ['read', 'write', 'deposit'] }],
  })
  const receive = (text: string, minute: number) =>
    deposits.call(messageDeposit, {
      commandId: randomUUID(),
      ...alice,
      object: {
        ...{ type: 'message', direction: 'in', from: 'tel:+4930654321', to: [address], conversationId: 'lunch' },
        ...{ date: sentAt + minute * 60_000, contentType: 'text/plain', text },
      },
    })
  const texts = ['Soup?', 'Or salad?', 'Noodles!', 'At noon?']
  const ids: string[] = []
  for (const [minute, text] of texts.entries()) ids.push((await receive(text, minute)).id)
  const [soup = '', salad = '', noodles = '', noon = ''] = ids

  const { credential, ...session } = await stage.options('alice', first, second)
  assert.is(credential.kind, 'psk')
  const key = credential.kind === 'psk' ? [...credential.key] : []
  const page = await program.open()
  const told = { session, key, address, deviceId: 'phone' }
  await page.evaluate(told => globalThis.openStore(told), told)
  const shown = () =>
    page.evaluate(async container => {
      const objects = await globalThis.store.objects(container)
      return objects.map(object => [object.content === 'full' ? object.text : '', ...object.flags].join(' ')).reverse()
    }, container)
  await until(async () => (await shown()).length === texts.length, {
    what: 'the page has all messages',
  })
  assert.equal(await page.evaluate(() => globalThis.store.connection), {
    kind: 'online',
    server: first.home.serverId,
    url: first.process.clientUrl,
  })
  await page.evaluate(told => globalThis.startAlwaysOn(told), told)
  const onlineAt = () =>
    page.evaluate(() => {
      const state = globalThis.online.homes[0]?.state
      return state?.kind === 'online' ? state.server : state?.kind
    })
  await until(async () => (await onlineAt()) === first.home.serverId, { what: 'the client is online' })
  await until(() => page.evaluate(() => localStorage.getItem('cpns-policy/a.example')), { what: 'it keeps the policy' })

  await page.evaluate(id => globalThis.store.setFlag(id, '\\Seen'), soup)
  await until(() => page.evaluate(() => globalThis.store.waiting.length === 0), { what: 'the flag is told' })

  const laptop = await openMessageStore({
    session: await stage.options('alice', second),
    address,
    deviceId: 'laptop',
    replica: await openMemoryReplica(),
  })
  stage.atEnd(() => laptop.close())
  // What is stored at one server is at the other a little later: only then is the first one not needed any more.
  await until(
    async () => {
      await laptop.sync()
      return (await flagsAt(laptop, soup)).includes('\\Seen')
    },
    { what: 'the other server has the flag' },
  )
  await page.evaluate(() => globalThis.store.goOffline())
  await first.process.stop('SIGKILL')
  await until(async () => (await onlineAt()) === second.home.serverId, { what: 'the client is at the other server' })
  // The page is first with one message, the laptop with another; the last word is to count.
  await page.evaluate(id => globalThis.store.setFlag(id, '\\Flagged'), salad)
  await laptop.setFlag([salad, noodles], '\\Seen', '\\Flagged')
  await laptop.clearFlag(salad, '\\Flagged')
  await laptop.sync()
  await page.evaluate(
    async ([soup = '', noodles = '', noon = '']) => {
      await globalThis.store.clearFlag(noodles, '\\Flagged')
      await globalThis.store.setFlag(noon, '\\Answered')
      await globalThis.store.clearFlag(soup, '\\Seen')
      await globalThis.store.deposit({
        ...{ type: 'message', direction: 'out', from: 'tel:+4930123456', to: ['tel:+4930654321'] },
        ...{ conversationId: 'lunch', date: Date.now(), contentType: 'text/plain', text: 'I am on my way.' },
      })
    },
    [soup, noodles, noon],
  )
  await receive('Are you coming?', 10)

  const offline = ['Soup?', 'Or salad? \\Flagged', 'Noodles!', 'At noon? \\Answered', 'I am on my way.']
  assert.equal(await shown(), offline)
  await page.reload()
  await page.evaluate(told => globalThis.openStore(told), { ...told, startOffline: true })
  assert.equal(await shown(), offline)
  assert.is(await page.evaluate(() => globalThis.store.waiting.length), 5)

  await page.evaluate(() => globalThis.store.goOnline())
  await until(() => page.evaluate(() => globalThis.store.waiting.length === 0), {
    what: 'all changes are told',
  })
  assert.equal(await page.evaluate(() => globalThis.store.connection), {
    kind: 'online',
    server: second.home.serverId,
    url: second.process.clientUrl,
  })
  const settled = [
    'Soup?',
    'Or salad? \\Seen',
    'Noodles! \\Seen',
    'At noon? \\Answered',
    'Are you coming?',
    'I am on my way.',
  ]
  await until(async () => assert.equal(await shown(), settled) ?? true, { what: 'the page has all that happened' })
  await laptop.sync()
  const atLaptop = (await laptop.objects(container)).map(object => [textOf(object), ...object.flags].join(' '))
  assert.equal(atLaptop.reverse(), settled)
  assert.not.ok(
    (await page.evaluate(() => globalThis.events)).includes('reset'),
    'the token of the other server was good',
  )
  assert.equal(program.errors, [])
})

const textOf = (object: Awaited<ReturnType<MessageStore['objects']>>[number]): string =>
  object.content === 'full' ? (object.text ?? '') : ''

async function flagsAt(store: MessageStore, id: string): Promise<readonly Flag[]> {
  return (await store.get(id))?.flags ?? []
}

test.run()
