import { Command, Option } from 'commander'
import { createToken, listTokens, revokeToken, type TokenScope, tokenScopes } from '../adapters/admin-tokens.ts'
import { systemClock } from '../adapters/clock.ts'
import { adminTokensPath } from '../operations/control-path.ts'
import { durationOf } from './duration.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption, jsonOption } from './options.ts'
import { formatDay, formatTable } from './table.ts'

interface Common {
  readonly config: string
  readonly json?: true
}

const dayMs = 86_400_000
const defaultLifetimeMs = 90 * dayMs

/** `cpns token …`: who may ask the admin API over TCP. A token is shown once, when it is made; the file keeps its hash. */
export function tokenCommand(): Command {
  const create = command('create', 'Makes a token, and prints it: it is kept nowhere. It counts from now on.')
    .argument('<name>', 'for whom it is, such as monitoring')
    .addOption(
      new Option('--scope <scope>', 'read: may look; operate: may also change things, such as drain')
        .choices(tokenScopes)
        .default('read'),
    )
    .addOption(
      new Option('--for <time>', 'how long it is good, such as 12h or 30d')
        .argParser(durationOf)
        .default(defaultLifetimeMs, '90d'),
    )
    .action(async (name: string, options: Common & { scope: TokenScope; for: number }) => {
      const { scope, for: lifetimeMs } = options
      const path = await tokensOf(options)
      const { text, token } = await createToken(path, { name, scope, lifetimeMs }, systemClock().now())
      if (options.json) console.log(JSON.stringify({ ...token, token: text }))
      else console.log(text)
    })

  const list = command('list', 'Lists the tokens: names, scopes, and until when they are good.').action(
    async (options: Common) => {
      const tokens = await listTokens(await tokensOf(options))
      const now = systemClock().now()
      if (options.json) console.log(JSON.stringify(tokens))
      else {
        const rows = tokens.map(({ name, id, scope, created, expires }) => {
          const until = expires <= now ? `${formatDay(expires)} (expired)` : formatDay(expires)
          return [name, id, scope, formatDay(created), until]
        })
        console.log(formatTable(['name', 'id', 'scope', 'made', 'good until'], rows, 'There are no tokens.'))
      }
    },
  )

  const revoke = command('revoke', 'Takes a token back: it is refused from now on.')
    .argument('<name>')
    .action(async (name: string, options: Common) => {
      const token = await revokeToken(await tokensOf(options), name)
      console.log(options.json ? JSON.stringify(token) : `${name} is good for nothing any more.`)
    })

  return new Command('token')
    .description('Tokens for the admin API over TCP (admin.listen).')
    .addCommand(create)
    .addCommand(list)
    .addCommand(revoke)
}

const command = (name: string, description: string): Command =>
  new Command(name).description(description).addOption(configOption()).addOption(jsonOption())

async function tokensOf({ config }: Common): Promise<string> {
  const { configuration, at } = await openNodeFolder(config)
  return adminTokensPath(configuration, at)
}
