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
  rootFingerprint,
  verifyManifest,
} from '../federation/manifest.ts'
import { type ServerId, serverId } from '../ports/names.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption } from './options.ts'
import { Refused } from './problems.ts'
import { readServerCard } from './server-card.ts'
import { formatDay, formatTable } from './table.ts'

interface SignOptions {
  readonly config: string
  readonly rootKey?: string
  readonly add: readonly string[]
  readonly remove: readonly string[]
  readonly revoke: readonly string[]
}

const collect = (value: string, previous: readonly string[]) => [...previous, value]

/** `cpns manifest …`: what an operator says about itself; `sign` makes its next manifest. A server that runs on this folder takes it up at once, others from it. */
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
  const show = new Command('show')
    .description('Prints what a manifest says, and whether it is signed as it must be.')
    .argument('[file]', 'left out: that of this operator')
    .addOption(configOption())
    .addOption(new Option('--json', 'prints JSON'))
    .action(showManifest)
  return new Command('manifest').description('What this operator says about itself.').addCommand(show).addCommand(sign)
}

/** @throws {InvalidManifest} {@link FileProblem} */
async function showManifest(
  file: string | undefined,
  { config, json }: { readonly config: string; readonly json?: true },
): Promise<void> {
  const path = file ?? (await ownManifest(config))
  const signed = parseManifest(await readText(path))
  const crypto = nodeCrypto()
  verifyManifest(signed, crypto)
  const { manifest } = signed
  const fingerprint = rootFingerprint(manifest, crypto)
  if (json) return console.log(JSON.stringify({ fingerprint, ...manifest }))
  const { operator, seq, issued, expires, rootKeys, threshold, servers, retired, revoked } = manifest
  console.log(`Manifest ${seq} of ${operator}, signed ${formatDay(issued)}, good until ${formatDay(expires)}`)
  console.log(`Root fingerprint ${fingerprint}: ${threshold} of ${rootKeys.length} root keys sign`)
  if (expires <= systemClock().now()) console.log('It has run out: cpns manifest sign')
  const rows = [
    ...servers.map(({ peerId, addresses, clientUrls }) => [peerId, 'serves', [...addresses, ...clientUrls].join(' ')]),
    ...retired.map(server => [server, 'retired', '']),
    ...revoked.map(server => [server, 'revoked', '']),
  ]
  console.log(formatTable(['server', 'state', 'addresses'], rows, 'It names no server.'))
}

async function ownManifest(config: string): Promise<string> {
  const { configuration, at } = await openNodeFolder(config)
  return at(configuration.manifest)
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
