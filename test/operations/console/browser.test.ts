/*
 * Property, in Chromium: the console shows nothing without a token and everything with it, as it is and as it changes, over broken
 * connections too; what others have named is read and never run; what it does it asks about first. It can be used on a phone, with a
 * keyboard and with a screen reader, in light and dark. Fails when a view is empty, wider than the page, or violates a rule of axe.
 */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { startChromium } from '../../../examples/support/chromium.ts'
import { createToken } from '../../../src/adapters/admin-tokens.ts'
import { nodeCrypto } from '../../../src/adapters/crypto.ts'
import { formatManifest, rootFingerprint } from '../../../src/federation/manifest.ts'
import { json, route } from '../../../src/operations/admin/route.ts'
import { adminTokensPath } from '../../../src/operations/control-path.ts'
import { browserRunsHere } from '../../fixtures/browser.ts'
import { testOperator } from '../../fixtures/operators.ts'
import { realNode } from '../admin/real-node.ts'
import { consoleRig, go } from './console-rig.ts'
import { heldThings } from './held.ts'

const test = suite('Console in a browser')
const patientMs = Number(process.env.PATIENT ?? 60_000)
const hostile = '<img src=x onerror="document.title=`run`"><script>document.title="run"</script>'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

let browser: Browser | undefined

/** A page of its own session. What goes wrong in it unasked, the policy's refusals too, fails the test at its end. */
async function opened(work: (page: Page) => Promise<void>, options: Parameters<Browser['newContext']>[0] = {}) {
  browser ??= await startChromium()
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
  context.setDefaultTimeout(patientMs)
  const errors: string[] = []
  context.on('weberror', error => errors.push(String(error.error())))
  context.on('console', message => {
    if (/Content Security Policy|Refused/.test(message.text())) errors.push(message.text())
  })
  await work(await context.newPage())
  await context.close()
  assert.equal(errors, [])
}

const seen = (page: Page, text: string | RegExp) => page.locator('main').getByText(text).first().waitFor()

if (browserRunsHere()) {
  test('a token is wanted, once', async () => {
    const rig = await consoleRig()
    await opened(async page => {
      await page.goto(rig.url)
      await page.getByLabel('Token').fill('cpns_nothing')
      await page.keyboard.press('Enter')
      await page.getByRole('alert').waitFor()
      assert.not.match((await page.textContent('body')) ?? '', /a\.example/)
      await page.getByLabel('Token').fill(await rig.token('reader', 'read'))
      await page.keyboard.press('Enter')
      await seen(page, '1,234')
      await page.reload()
      await seen(page, '1,234')
      assert.is(await page.evaluate(() => localStorage.length), 0)
    })
    await rig.end()
  })

  test('it shows a partition and its end, and what the log warns of, as text', async () => {
    const rig = await consoleRig()
    await opened(async page => {
      await rig.open(page, await rig.token('reader', 'read'), 'federation')
      await seen(page, 'All is linked: 1 other operator.')
      assert.is(await page.getByRole('button', { name: 'Quarantine …' }).count(), 0)
      assert.is(await page.locator('.map-lines .link.up').count(), 1)
      rig.script.link('up', undefined, { toSend: 3, toGet: 1_200 })
      await seen(page, 'linked, 1,203 waiting')
      await seen(page, '3 to send, 1,200 to get')
      rig.script.link('down', hostile)
      rig.telemetry.log('warn', 'peer.refused', { reason: hostile })
      await seen(page, 'There is no link to b.example.')
      assert.is(await page.locator('.map-lines .link.down').count(), 1)
      assert.match((await page.getByRole('status').textContent()) ?? '', /b\.example cannot be reached/)
      await seen(page, hostile)
      await go(page, 'alarms')
      await seen(page, 'b.example cannot be reached.')
      await seen(page, `reason: ${hostile}`)
      assert.is(await page.locator('main img, body script').count(), 0)
      rig.script.link('up')
      await seen(page, 'Nothing is wrong, as far as this node knows.')
      assert.not.match(await page.title(), /run/)
    })
    await rig.end()
  })

  test('it shows Personal Networks, mailboxes and documents as the node holds them, and never what is in a mailbox', async () => {
    const things = await heldThings(hostile)
    const rig = await consoleRig(things.routes)
    await opened(async page => {
      await rig.open(page, await rig.token('reader', 'read'), 'networks')
      await seen(page, hostile)
      await page.getByLabel('Search').fill('flat')
      await page.locator('main td a').filter({ hasText: hostile }).waitFor({ state: 'detached' })
      await page.locator('main td a').click()
      await seen(page, 'a.example/flat')
      for (const text of ['lamp', 'radio', 'Which operator said what']) await seen(page, text)
      await page.locator('summary', { hasText: 'b.example' }).click()
      await page.locator('main a', { hasText: 'visit/b.example/a.example/flat' }).click()
      await seen(page, 'Logs by author')
      await go(page, 'documents/pn%2Fa.example%2Fflat')
      await seen(page, 'the same')
      await seen(page, /The latest \d+ of \d+ entries/)
      await go(page, 'documents')
      await page.getByLabel('Begins with').fill('mailbox/')
      await seen(page, '1 document')
      await go(page, 'mailboxes')
      await page.locator('main td a', { hasText: 'alice' }).click()
      for (const text of ['2 KiB', 'Run_0001', '1 of 1 part missing']) await seen(page, text)
      assert.not.match((await page.textContent('body')) ?? '', /lunch/)
      await go(page, 'documents/pn%2Fa.example%2Fnone')
      await page.getByRole('alert').filter({ hasText: 'does not hold' }).first().waitFor()
      assert.not.match(await page.title(), /run/)
    })
    await rig.end()
    await things.stop()
  })

  test('a connection that breaks is said so, and made again', async () => {
    const rig = await consoleRig()
    await opened(async page => {
      await rig.open(page, await rig.token('reader', 'read'))
      rig.link.cut()
      await page.locator('.badge', { hasText: 'not connected' }).waitFor()
      await page.getByRole('alert').waitFor()
      rig.link.heal()
      await page.locator('.badge', { hasText: 'live' }).waitFor()
      rig.script.link('down')
      await seen(page, '1 alarm')
    })
    await rig.end()
  })

  test('who has a console open when its token is revoked sees nothing any more, is told, and comes back with another', async () => {
    const rig = await consoleRig()
    await opened(async page => {
      await rig.open(page, await rig.token('reader', 'read'))
      await rig.revoke('reader')
      await page.getByRole('alert').filter({ hasText: 'was revoked' }).waitFor()
      assert.not.match((await page.textContent('body')) ?? '', /a\.example/)
      await page.getByLabel('Token').fill(await rig.token('second', 'read'))
      await page.keyboard.press('Enter')
      await seen(page, '1,234')
    })
    await rig.end()
  })

  test('a drain is asked about first, by keyboard too, and needs a token that may', async () => {
    const rig = await consoleRig()
    await opened(async page => {
      await rig.open(page, await rig.token('reader', 'read'), 'actions')
      await page.getByRole('button', { name: 'Drain this server …' }).focus()
      await page.keyboard.press('Enter')
      await page.getByRole('dialog').waitFor()
      await page.keyboard.press('Escape')
      await page.getByRole('dialog').waitFor({ state: 'detached' })
      await page.locator('main button:focus').waitFor()
      await page.keyboard.press('Enter')
      await page.getByRole('dialog').getByRole('button', { name: 'Drain this server' }).click()
      await page.getByRole('dialog').getByRole('alert').waitFor()
      assert.is(rig.drains.length, 0)
      await page.keyboard.press('Escape')
    })
    await opened(async page => {
      await rig.open(page, await rig.token('operator', 'operate'), 'actions')
      await page.getByRole('button', { name: 'Drain this server …' }).click()
      await page.getByRole('dialog').getByRole('button', { name: 'Drain this server' }).click()
      await seen(page, /It drains/)
      assert.is(rig.drains.length, 1)
    })
    await rig.end()
  })

  test('another operator is kept off, with a reason, and worked with again', async () => {
    const said: string[] = []
    const keeping = ['PUT', 'DELETE'].map(method =>
      route({
        method: method === 'PUT' ? 'PUT' : 'DELETE',
        path: '/v1/peers/:operator/quarantine',
        scope: 'operate',
        summary: 'As the node has it.',
        params: z.strictObject({ operator: z.string() }),
        body: z.strictObject({ why: z.string().optional() }),
        answers: { 200: json('It is so.', z.object({})) },
        handle({ params: { operator }, body: { why } }, answer) {
          said.push(`${method} ${operator} ${why}`)
          if (why === undefined) rig.script.release()
          else rig.script.keepOff(why)
          return answer(200, {})
        },
      }),
    )
    const rig = await consoleRig(keeping)
    await opened(async page => {
      await rig.open(page, await rig.token('operator', 'operate'), 'federation')
      await page.getByRole('button', { name: 'Quarantine …' }).click()
      await page.getByLabel(/^Why/).fill(hostile)
      await page.keyboard.press('Enter')
      await seen(page, 'in quarantine')
      await seen(page, hostile)
      await page.getByRole('button', { name: 'Release …' }).click()
      await page.getByRole('dialog').getByRole('button', { name: 'Release b.example' }).click()
      await page.getByRole('button', { name: 'Quarantine …' }).waitFor()
    })
    assert.equal(said, [`PUT b.example ${hostile}`, 'DELETE b.example undefined'])
    await rig.end()
  })

  test('every view fits a desk and a phone, and violates no rule of accessibility in light and dark', async () => {
    const things = await heldThings(hostile)
    const rig = await consoleRig(things.routes)
    const token = await rig.token('reader', 'read')
    rig.script.link('down', 'The connection was refused.')
    rig.telemetry.log('error', 'sync.failed', { message: 'x'.repeat(300) })
    for (const [width, colorScheme] of [
      [1280, 'light'],
      [390, 'dark'],
    ] as const) {
      await opened(
        async page => {
          await rig.open(page, token)
          await page.evaluate(axe)
          for (const { place, text } of shown) {
            await go(page, place)
            await seen(page, text)
            const { excess, violations } = await page.evaluate(checkPage)
            assert.is(excess, 0, `${place} is ${excess} pixels wider than ${width}`)
            assert.equal(violations, [], `${place}, ${width}, ${colorScheme}`)
          }
        },
        { colorScheme, viewport: { width, height: 844 } },
      )
    }
    await rig.end()
    await things.stop()
  })

  test('a node serves its own, and another operator is trusted there, once its fingerprint was compared', async () => {
    const { node, configuration, at, folder, end } = await realNode()
    const wanted = { name: 'console', scope: 'operate', lifetimeMs: 3_600_000 } as const
    const { text } = await createToken(adminTokensPath(configuration, at), wanted, Date.now())
    const b = testOperator('b.example')
    const manifest = formatManifest(b.manifest())
    const fingerprint = rootFingerprint(b.manifest().manifest, nodeCrypto())
    await opened(async page => {
      await page.goto(`${node.adminUrl}/console#token=${text}`)
      await seen(page, node.federation.server)
      assert.is(await page.title(), 'Overview · a.example')
      assert.not.match(page.url(), /token/)
      await go(page, 'federation')
      await page.getByRole('button', { name: 'Trust an operator …' }).focus()
      await page.keyboard.press('Enter')
      const dialog = page.getByRole('dialog')
      await dialog.getByLabel('Or its text').fill('{}')
      await dialog.getByRole('button', { name: 'Examine it' }).click()
      await dialog.getByRole('alert').waitFor()
      await dialog.getByLabel('File of the manifest').setInputFiles(join(folder, 'manifest.json'))
      await dialog.getByText('This is the manifest of this operator itself.').waitFor()
      await dialog.getByRole('button', { name: 'Another manifest' }).click()
      await dialog.getByLabel('Or its text').fill(manifest)
      await dialog.getByRole('button', { name: 'Examine it' }).click()
      assert.is(await dialog.locator('.fingerprint').textContent(), fingerprint)
      await page.evaluate(axe)
      assert.equal((await page.evaluate(checkPage)).violations, [])
      const trust = dialog.getByRole('button', { name: 'Trust b.example' })
      await trust.click()
      assert.is(node.trust.fingerprintOf(b.id), undefined, 'not before it was compared')
      await dialog.getByRole('checkbox').check()
      await trust.click()
      await dialog.waitFor({ state: 'detached' })
      assert.is(node.trust.fingerprintOf(b.id), fingerprint)
      await page.locator('.map-card', { hasText: 'b.example' }).waitFor()
      await page.locator('main button:focus').waitFor()
    })
    await end()
  })

  test.after(() => browser?.close())
}

/** Every view, and what is on it when it is there. */
const shown = [
  { place: 'overview', text: 'Takes clients' },
  { place: 'federation', text: 'There is no link' },
  { place: 'networks', text: '2 Personal Networks' },
  { place: 'networks/a.example%2Fflat', text: 'Effective inventory' },
  { place: 'mailboxes', text: '1 mailbox' },
  { place: 'mailboxes/a.example%2Falice', text: 'Run_0001' },
  { place: 'documents', text: /\d documents/ },
  { place: 'documents/pn%2Fa.example%2Fflat', text: 'Logs by author' },
  { place: 'alarms', text: 'sync.failed' },
  { place: 'actions', text: 'Drain' },
] as const

/** Runs in the page. */
async function checkPage() {
  const { axe } = globalThis as unknown as {
    readonly axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> }
  }
  const { violations } = await axe.run()
  return {
    excess: Math.max(0, document.documentElement.scrollWidth - innerWidth),
    violations: violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`),
  }
}

test.run()
