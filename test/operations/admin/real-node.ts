import { join } from 'node:path'
import { initCommand } from '../../../src/cli/init.ts'
import { openNodeFolder } from '../../../src/cli/node-folder.ts'
import { type LaunchOptions, launch, type RunningNode } from '../../../src/operations/launch.ts'
import { temporaryFolder } from '../../fixtures/temporary-folder.ts'

/** A node of a new operator in this process, as `cpns init` and `cpns start` make it, on ports that are free. */
export async function realNode(options: LaunchOptions & { readonly settings?: Readonly<Record<string, string>> } = {}) {
  const folder = await temporaryFolder()
  const at = join(folder.path, 'a')
  await silently(() => initCommand().parseAsync([at, '--operator', 'a.example'], { from: 'user' }))
  const { configuration, at: pathAt } = await openNodeFolder(join(at, 'cpns.toml'), {
    'peers.listen': '/ip4/127.0.0.1/tcp/0',
    'clients.port': '0',
    'admin.listen': '127.0.0.1:0',
    'log.level': 'error',
    ...options.settings,
  })
  const node: RunningNode = await launch(configuration, pathAt, options)
  return { node, folder: at, at: pathAt, configuration, end: () => node.stop().then(folder.remove) }
}

/** What a command prints is not of this test. */
async function silently(work: () => Promise<unknown>): Promise<void> {
  const { log } = console
  console.log = () => {}
  try {
    await work()
  } finally {
    console.log = log
  }
}
