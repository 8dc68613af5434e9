/*
 * `cpns start`, with two buttons more in its console: they cut the network between the operators of the story, and heal it. It
 * tells whoever has started it, over the channel between their processes; the node itself knows nothing of it.
 */
import { z } from 'zod'
import { startCommand } from '../../src/cli/start.ts'
import { json, type Route, route } from '../../src/operations/launch.ts'
import type { NetworkWish } from './server-process.ts'

const buttons = [
  {
    wish: 'cut',
    label: 'Cut the network',
    text: 'Severs every connection between the two operators, and lets none be made. Both go on by themselves.',
  },
  {
    wish: 'heal',
    label: 'Heal the network',
    text: 'Lets the operators connect again. Within moments both have the same.',
  },
] as const satisfies readonly { readonly wish: NetworkWish; readonly label: string; readonly text: string }[]

const pathOf = (wish: NetworkWish): string => `/v1/demo/${wish}`

const routes: readonly Route[] = buttons.map(({ wish, text }) =>
  route({
    method: 'POST',
    path: pathOf(wish),
    scope: 'operate',
    summary: text,
    answers: { 200: json('It was told.', z.object({})) },
    handle(_, answer) {
      process.send?.(wish)
      return answer(200, {})
    },
  }),
)

await startCommand({
  adminRoutes: routes,
  consoleActions: buttons.map(({ wish, label, text }) => ({
    label,
    text,
    path: pathOf(wish),
    isGrave: wish === 'cut',
  })),
}).parseAsync(process.argv)
