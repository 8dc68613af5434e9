/*
 * A chat history viewer: a page that keeps a user's messages in the browser, shows, flags, files and searches them with a
 * connection or without one, and is in step again with the operator's servers when it is back, whichever of them it finds.
 *
 *   node examples/chat-history.ts                  two servers, and the address of a page to open; until Ctrl-C
 *   node examples/chat-history.ts --once           tells a story with the page in Chromium instead: 0 if every step was
 *                                                  verified, 1 with the step that failed
 *   node examples/chat-history.ts --once --pictures DIR    and takes a picture at each turn of it
 */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Page } from 'playwright-core'
import {
  connect,
  type MessageStore,
  messageDeposit,
  openFileReplica,
  openMessageStore,
  operatorId,
  type Session,
  type SessionOptions,
  serverId,
  userRegister,
} from '../src/client/node.ts'
import { address, conversations, names, replies } from './support/chat-history-messages.ts'
import type { ChatSettings } from './support/chat-history-page.ts'
import { startChromium } from './support/chromium.ts'
import { newCommandId } from './support/credentials.ts'
import { letPagesIn, type ServerFolder, serverFolder } from './support/operators.ts'
import { type PageServer, servePage } from './support/page-server.ts'
import { cpns, type ServerProcess, startServer } from './support/server-process.ts'
import { eventually, story, tellUntilAsked } from './support/story.ts'

const { values: options } = parseArgs({
  options: { once: { type: 'boolean', default: false }, pictures: { type: 'string' } },
})

const A = operatorId('a.example')
const alice = { operator: A, user: 'alice' }
const patientMs = 20_000

const folder = await mkdtemp(join(tmpdir(), 'cpns-'))
const told = story()
/** What has to be ended, the latest first. */
const endings: (() => unknown)[] = []

async function tell(asked: Promise<void>): Promise<void> {
  told.chapter('Two servers of one operator')
  const support = join(import.meta.dirname, 'support')
  let settings: ChatSettings | undefined
  const page = await told.step('A page is served', async () => {
    const served = await servePage({
      program: join(support, 'chat-history-page.ts'),
      html: join(support, 'chat-history.html'),
      settings: () => settings,
    })
    endings.push(() => served.close())
    return served
  })
  const keys = { alice: newKey(), function: newKey() }
  const servers = await told.step('The servers have the same keys, and let the page in', () => founded(page, keys))
  const running = await told.step('They start', async () => {
    const started = await Promise.all(servers.map(({ config }) => startServer(config)))
    for (const server of started) endings.push(() => server.stop())
    return started
  })
  const sessionOf = (identity: 'alice' | 'function', order: readonly number[] = [0, 1]): SessionOptions => ({
    operator: A,
    identity,
    credential: { kind: 'psk', key: keys[identity] },
    servers: servers.map(server => serverId(server.serverId)),
    urls: order.flatMap(at => running[at]?.clientUrl ?? []),
  })

  told.chapter('Alice’s mailbox')
  const network = await connect(sessionOf('function', [1, 0]))
  endings.push(() => network.close())
  await told.step('It is registered', () => register(network))
  await told.step(
    'Her messages of the last days are stored',
    () => fill(network),
    count => `${count} of them`,
  )
  const { credential: _, ...session } = sessionOf('alice')
  settings = {
    ...{ session, address, names, replica: randomBytes(8).toString('hex') },
    key: Buffer.from(keys.alice).toString('base64url'),
    servers: Object.fromEntries(servers.map((server, at) => [server.serverId, `Online, server ${at + 1}`])),
  }
  const tablet = await told.step('Her tablet has them too', () => openTablet(sessionOf('alice', [1])))

  if (options.once) return withPage(page, opened => tellOfThePage(opened, running, network, tablet))
  answerFor(network, tablet)
  told.chapter('Serving on until Ctrl-C')
  told.line(`Open ${page.url} : read, flag, keep, search, write; click the pill at the top to go offline and online.`)
  told.line('Her friends answer what she writes. What is done in one window is there in another one at once.')
  await asked
}

/** What Alice sees and does in her browser. */
async function tellOfThePage(page: Page, running: readonly ServerProcess[], network: Session, tablet: MessageStore) {
  told.chapter('In her browser')
  const waits = page.locator('#bar')
  const says = (text: string) => page.locator('.bubble', { hasText: text }).first()
  const act = async (text: string, what: 'flag' | 'keep') => {
    const message = page.locator('.message', { has: page.locator('.bubble', { hasText: text }) }).first()
    await message.hover()
    await message.locator(`[data-act=${what}]`).click()
  }
  await told.step('All conversations are there', async () => {
    await page
      .locator('.place')
      .nth(conversations.length - 1)
      .waitFor()
    await picture(page, 'conversations')
  })
  await told.step('She reads one; her tablet knows', async () => {
    await page.locator('.place', { hasText: 'Ben' }).click()
    await says('noodle place').waitFor()
    await eventually(
      'nothing new from Ben',
      async () => {
        const all = await tablet.conversations()
        return all.find(({ name }) => name === 'lunch')?.unseen === 0
      },
      patientMs,
    )
    await picture(page, 'conversation')
  })

  told.chapter('Without a connection')
  await told.step('She goes offline, and the server that she was at is killed', async () => {
    await page.locator('#connection').click()
    await page.locator('#connection.offline').waitFor()
    await running[0]?.stop('SIGKILL')
  })
  await told.step(
    'She flags, keeps a copy, and answers; all is shown at once',
    async () => {
      await act('noodle place', 'flag')
      await act('noodle place', 'keep')
      await page.locator('#compose input').fill('Noodles it is. I will be there at half past.')
      await page.keyboard.press('Enter')
      await says('half past').waitFor()
      await page.locator('#bar:not([hidden])').waitFor()
      await picture(page, 'offline')
      return (await waits.textContent()) ?? ''
    },
    text => text,
  )
  await told.step('She searches', async () => {
    await page.locator('#search').fill('platform')
    await page.locator('mark').first().waitFor()
    await picture(page, 'search')
    await page.locator('#search').fill('')
  })
  const arrived = 'Table for two, by the window.'
  await told.step('Meanwhile a message arrives at the other server', () =>
    receive(network, 'lunch', 'tel:+4930654321', arrived),
  )

  told.chapter('Back, at the other server')
  await told.step(
    'Everything arrives, in both directions',
    async () => {
      await page.locator('#connection').click()
      await page.locator('.place', { hasText: 'Ben' }).click()
      await says(arrived).waitFor({ timeout: patientMs })
      await waits.waitFor({ state: 'hidden', timeout: patientMs })
      await picture(page, 'back')
      return (await page.locator('#connection').textContent()) ?? ''
    },
    server => server,
  )
  await told.step('Her tablet shows the same', () =>
    eventually(
      'the same at the tablet',
      async () => {
        const objects = await tablet.objects('c-lunch')
        const has = (text: string, flag?: '\\Flagged') =>
          objects.some(
            object =>
              object.content === 'full' && object.text?.includes(text) && (!flag || object.flags.includes(flag)),
          )
        const [kept] = await tablet.folders()
        return has('half past') && has(arrived) && has('noodle place', '\\Flagged') && kept?.objects === 1
      },
      patientMs,
    ),
  )
  await told.step('The page is loaded again, and has it all still', async () => {
    await page.reload()
    await page.locator('.place', { hasText: 'To keep' }).click()
    await says('noodle place').waitFor({ timeout: patientMs })
  })
}

async function founded(page: PageServer, keys: Readonly<Record<string, Uint8Array>>): Promise<readonly ServerFolder[]> {
  const first = await serverFolder(join(folder, 'first'), A)
  const second = await serverFolder(join(folder, 'second'), A, first)
  for (const server of [first, second]) {
    endings.push(() => server.link.close())
    await letPagesIn(server, new URL(page.url).origin)
    const psk = (identity: string) => Buffer.from(keys[identity] ?? '').toString('base64url')
    const add = ['subscriber', 'add', '--config', server.config]
    await cpns(...add, 'alice', `--psk=${psk('alice')}`)
    await cpns(...add, 'function', `--psk=${psk('function')}`, '--right', 'deposit', 'provision')
  }
  return [first, second]
}

const newKey = (): Uint8Array => new Uint8Array(randomBytes(32))

const register = (network: Session) =>
  network.call(userRegister, {
    commandId: newCommandId(),
    user: alice.user,
    addresses: [address],
    subscribers: [{ operator: A, identity: 'alice', rights: ['read', 'write', 'deposit'] }],
  })

async function fill(network: Session): Promise<number> {
  const now = Date.now()
  const deposits = conversations.flatMap(({ conversationId, other, messages }) =>
    messages.map(([minutesAgo, who, text, isNew]) =>
      network.call(messageDeposit, {
        commandId: newCommandId(),
        ...alice,
        object: {
          ...{ type: 'message', contentType: 'text/plain', conversationId, text },
          ...(who === 'me'
            ? { direction: 'out', from: address, to: [other] }
            : { direction: 'in', from: other, to: [address] }),
          date: now - minutesAgo * 60_000,
        },
        ...(isNew ? {} : { flags: ['\\Seen'] }),
      }),
    ),
  )
  return (await Promise.all(deposits)).length
}

const receive = (network: Session, conversationId: string, from: string, text: string) =>
  network.call(messageDeposit, {
    commandId: newCommandId(),
    ...alice,
    object: {
      ...{ type: 'message', direction: 'in', contentType: 'text/plain', date: Date.now() },
      ...{ conversationId, from, to: [address], text },
    },
  })

async function openTablet(session: SessionOptions): Promise<MessageStore> {
  const replica = await openFileReplica(join(folder, 'tablet'))
  const tablet = await openMessageStore({ session, address, deviceId: 'tablet', replica })
  endings.push(() => tablet.close())
  await tablet.sync()
  return tablet
}

/** Whoever Alice has written to answers, a moment later. */
function answerFor(network: Session, tablet: MessageStore): void {
  const seen = new Set<string>()
  let answers = 0
  const begun = Date.now()
  const timer = setInterval(async () => {
    for (const { latest, name } of await tablet.conversations()) {
      if (latest?.content !== 'full' || latest.direction !== 'out' || latest.date < begun || seen.has(latest.id))
        continue
      seen.add(latest.id)
      const [other = address] = latest.to
      const answer = replies[answers++ % replies.length] ?? ''
      await receive(network, name, other, answer).catch(() => {})
    }
  }, 1_500)
  endings.push(() => clearInterval(timer))
}

async function withPage(server: PageServer, tellOf: (page: Page) => Promise<void>): Promise<void> {
  const browser = await told.step('Chromium opens the page', startChromium)
  endings.push(() => browser.close())
  const page = await browser.newPage({ viewport: { width: 1160, height: 760 }, deviceScaleFactor: 1 })
  page.setDefaultTimeout(patientMs)
  await page.goto(server.url)
  await tellOf(page)
}

async function picture(page: Page, name: string): Promise<void> {
  if (options.pictures === undefined) return
  await mkdir(options.pictures, { recursive: true })
  await page.screenshot({ path: join(options.pictures, `${name}.png`) })
}

await tellUntilAsked(tell, async () => {
  for (const end of endings.reverse()) await end()
  await rm(folder, { recursive: true })
})
