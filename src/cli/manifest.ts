import { dirname, join } from 'node:path'
import { Command, Option } from 'commander'
import { systemClock } from '../adapters/clock.ts'
import { nodeCrypto } from '../adapters/crypto.ts'
import { readText, writeText } from '../adapters/files.ts'
import { readRootKey } from '../adapters/operator-keys.ts'
import {
  formatManifest,
  type ManifestServer,
  nextManifest,
  parseManifest,
  verifyManifest,
} from '../federation/manifest.ts'
import { type ServerId, serverId } from '../ports/names.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption } from './options.ts'
import { Refused } from './problems.ts'
import { readServerCard } from './server-card.ts'

interface SignOptions {
  readonly config: string
  readonly rootKey?: string
  readonly add: readonly string[]
  readonly remove: readonly string[]
  readonly revoke: readonly string[]
}

const collect = (value: string, previous: readonly string[]) => [...previous, value]

/** `cpns manifest sign`: the operator's next manifest. A server that runs on this folder takes it up at once, others from it. */
export function manifestCommand(): Command {
  const sign = new Command('sign')
    .description('Signs the next manifest of this operator, renewed and with the changes asked for.')
    .addOption(configOption())
    .addOption(new Option('--root-key <file>', 'the root key; by default keys/root.key beside the configuration'))
    .addOption(new Option('--add <server.json>', 'adds a server').argParser(collect).default([], 'none'))
    .addOption(
      new Option('--remove <peer-id>', 'retires a server: what it wrote stays').argParser(collect).default([], 'none'),
    )
    .addOption(
      new Option('--revoke <peer-id>', 'disowns a server whose key was lost or stolen')
        .argParser(collect)
        .default([], 'none'),
    )
    .action(signNext)
  return new Command('manifest').description('What this operator says about itself.').addCommand(sign)
}

async function signNext(options: SignOptions): Promise<void> {
  const { configuration, at, configFile } = await openNodeFolder(options.config)
  const file = at(configuration.manifest)
  const crypto = nodeCrypto()
  const before = parseManifest(await readText(file))
  verifyManifest(before, crypto)
  const rootKey = await readRootKey(options.rootKey ?? join(dirname(configFile), 'keys/root.key'))

  const gone = new Set<ServerId>([...options.remove, ...options.revoke].map(serverId))
  for (const server of gone) {
    if (before.manifest.servers.some(({ peerId }) => peerId === server)) continue
    throw new Refused(`${server} is no server of manifest ${before.manifest.seq}.`)
  }
  const added = await Promise.all(options.add.map(path => joining(path, configuration.operator)))
  const addedIds = new Set(added.map(({ peerId }) => peerId))
  const kept = before.manifest.servers.filter(({ peerId }) => !gone.has(peerId) && !addedIds.has(peerId))
  const next = nextManifest(
    before,
    { servers: [...kept, ...added], revoked: options.revoke.map(serverId) },
    [rootKey],
    crypto,
    systemClock().now(),
  )
  verifyManifest(next, crypto)
  await writeText(file, formatManifest(next))
  const { seq, servers } = next.manifest
  console.log(`Manifest ${seq} of ${configuration.operator} names ${servers.length} servers: ${file}`)
}

async function joining(path: string, operator: string): Promise<ManifestServer> {
  const { peerId, addresses, clientUrls, operator: itsOperator } = await readServerCard(path)
  if (itsOperator !== operator) throw new Refused(`${path} describes a server of ${itsOperator}, not of ${operator}.`)
  return { peerId, addresses, clientUrls }
}
