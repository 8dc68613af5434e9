import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { cuttableLink } from '../../../examples/support/cuttable-link.ts'
import { createToken, revokeToken, type TokenScope } from '../../../src/adapters/admin-tokens.ts'
import { systemClock } from '../../../src/adapters/clock.ts'
import { systemRandom } from '../../../src/adapters/random.ts'
import type { Drained, DrainOptions } from '../../../src/node.ts'
import { drainRoutes } from '../../../src/operations/admin/drain.ts'
import { describingRoute } from '../../../src/operations/admin/openapi.ts'
import type { Route } from '../../../src/operations/admin/route.ts'
import { serveAdmin } from '../../../src/operations/admin/serve.ts'
import { statusOf } from '../../../src/operations/admin/status.ts'
import { createFeed } from '../../../src/operations/console/feed.ts'
import { recentEvents } from '../../../src/operations/console/recent-events.ts'
import { consoleRoutes } from '../../../src/operations/console/routes.ts'
import type { Action } from '../../../src/operations/console/shapes.ts'
import { createDraining } from '../../../src/operations/draining.ts'
import { RecordingTelemetry } from '../../fixtures/recording-telemetry.ts'
import { temporaryFolder } from '../../fixtures/temporary-folder.ts'
import { scriptedNode } from './scripted-node.ts'

/** A console over TCP, of a node that a test speaks for, through a link that can be cut. */
export async function consoleRig(more: readonly Route[] = [], actions: readonly Action[] = []) {
  const folder = await temporaryFolder()
  const clock = systemClock()
  const script = scriptedNode(clock.now())
  const drains: DrainOptions[] = []
  const drain = (options: DrainOptions = {}) => {
    drains.push(options)
    return new Promise<Drained>(() => {})
  }
  const counters = () => [{ name: 'cpns_access_requests_total', labels: { status: '200' }, value: 12 }]
  const recent = recentEvents(Object.assign(new RecordingTelemetry(), { counters, level: 'info' as const }), clock)
  const { telemetry } = recent
  const draining = createDraining({ drain }, telemetry)
  const { operator, server } = script.node.federation
  const node = { ...script.node, clientUrl: () => 'ws://127.0.0.1:4680' }
  const status = statusOf({ operator, server, node, draining, clock })
  const feed = createFeed({ node, status, draining, recent, counters, clock, actions })
  const tokens = join(folder.path, 'tokens.json')
  const routes = [...drainRoutes(draining), ...consoleRoutes(feed), ...more]
  const admin = await serveAdmin({
    routes: [...routes, describingRoute(routes, '0.0.0')],
    at: {
      socket: join(folder.path, 'control.sock'),
      listen: '127.0.0.1:0',
      tokens,
      audit: join(folder.path, 'audit.log'),
    },
    ...{ clock, random: systemRandom(), telemetry },
  })
  const link = await cuttableLink(Number(new URL(admin.url ?? '').port))
  const url = `http://127.0.0.1:${link.port}/console`
  return {
    ...{ script, telemetry, drains, link, url },
    token: async (name: string, scope: TokenScope): Promise<string> =>
      (await createToken(tokens, { name, scope, lifetimeMs: 3_600_000 }, clock.now())).text,
    revoke: (name: string) => revokeToken(tokens, name),
    /** Opens the console as somebody who has entered the token. */
    async open(page: Page, token: string, place = 'overview'): Promise<void> {
      await page.goto(`${url}#token=${token}`)
      await page.locator('.badge', { hasText: 'live' }).waitFor()
      await go(page, place)
    },
    async end() {
      feed.stop()
      await admin.stop()
      await link.close()
      await folder.remove()
    },
  }
}

/** To a view, or to something in it, as a link does. */
export async function go(page: Page, place: string): Promise<void> {
  const isThere = await page.evaluate(to => {
    const was = location.hash
    location.hash = `/${to}`
    return was === location.hash
  }, place)
  // Whoever comes to another view is told by its title, which takes the focus when the view is there.
  if (!isThere) await page.locator('#title:focus').waitFor()
}
