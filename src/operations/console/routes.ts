import { consolePage } from '../../adapters/console-page.ts'
import { AdminRefusal } from '../admin/refusal.ts'
import { events, type Route, raw, route } from '../admin/route.ts'
import { type Feed, TooManyConsoles } from './feed.ts'
import { update } from './shapes.ts'

/*
 * The console: a page that anybody who reaches the port may load, since there is nothing in it, and what it shows, for which it
 * needs a token.
 */

/**
 * The page runs its own program and looks as its own style says; it asks this node alone, and stands in no other page. The token
 * is sent with each request by the page itself, so that no other page can have anything done in its name.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const headers = {
  'content-security-policy': policy,
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}

const files = [
  { path: '/console', file: 'index.html', type: 'text/html; charset=utf-8', summary: 'The web console.' },
  { path: '/console/page.css', file: 'page.css', type: 'text/css; charset=utf-8', summary: 'How the console looks.' },
  { path: '/console/icon.svg', file: 'icon.svg', type: 'image/svg+xml', summary: 'The sign of the console.' },
  { path: '/console/page.js', file: 'page.js', type: 'text/javascript; charset=utf-8', summary: 'Its program.' },
] as const

export const consoleRoutes = (feed: Feed): readonly Route[] => [
  ...files.map(({ path, file, type, summary }) =>
    route({
      method: 'GET',
      path,
      scope: 'open',
      summary,
      answers: { 200: raw(summary, type) },
      handle: async (_, answer) => answer(200, await consolePage(file), headers),
    }),
  ),
  route({
    method: 'GET',
    path: '/v1/console',
    scope: 'read',
    summary: 'What the console shows, as it changes: each part is told whole when it has changed.',
    answers: { 200: events('Server-sent events, each with the parts that have changed.', update) },
    handle: (_, answer) => answer(200, opened(feed)),
  }),
]

/** @throws {AdminRefusal} 503 */
function opened(feed: Feed) {
  try {
    return feed.open()
  } catch (error) {
    if (error instanceof TooManyConsoles) throw new AdminRefusal(503, error.message)
    throw error
  }
}
