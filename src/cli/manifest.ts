import { Command, InvalidArgumentError, Option } from 'commander'
import { systemClock } from '../adapters/clock.ts'
import { nodeCrypto } from '../adapters/crypto.ts'
import { readText } from '../adapters/files.ts'
import {
  type ManifestServer,
  nextManifest,
  parseManifest,
  rootFingerprint,
  verifyManifest,
} from '../federation/manifest.ts'
import { type ServerId, serverId } from '../ports/names.ts'
import { cosignFile, installFile, putInForce, readRootKeys, tell } from './manifest-install.ts'
import { publicKeyOf, rotate } from './manifest-rotate.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption, jsonOption } from './options.ts'
import { Refused } from './problems.ts'
import { readServerCard } from './server-card.ts'
import { formatDay, formatTable } from './table.ts'

interface SignOptions {
  readonly config: string
  readonly rootKey: readonly string[]
  readonly add: readonly string[]
  readonly remove: readonly string[]
  readonly revoke: readonly string[]
  readonly json?: true
}

const collect = (value: string, previous: readonly string[]) => [...previous, value]

/** Several may be needed: as many as the manifest's threshold says. */
const rootKeyOption = (rest = 'by default keys/root.key beside the configuration') =>
  new Option('--root-key <file>', `a root key, may be given several times; ${rest}`)
    .argParser(collect)
    .default([], 'none')

/** `cpns manifest …`: what an operator says about itself; `sign` makes its next manifest. A server that runs on this folder takes it up at once, others from it. */
export function manifestCommand(): Command {
  const sign = new Command('sign')
    .description('Signs the next manifest of this operator, renewed and with the changes asked for.')
    .addOption(configOption())
    .addOption(rootKeyOption())
    .addOption(new Option('--add <server.json>', 'adds a server').argParser(collect).default([], 'none'))
    .addOption(
      new Option('--remove <peer-id>', 'retires a server: what it wrote stays').argParser(collect).default([], 'none'),
    )
    .addOption(
      new Option('--revoke <peer-id>', 'disowns a server whose key was lost or stolen')
        .argParser(collect)
        .default([], 'none'),
    )
    .addOption(jsonOption())
    .action(signNext)
  const show = new Command('show')
    .description('Prints what a manifest says, and whether it is signed as it must be.')
    .argument('[file]', 'left out: that of this operator')
    .addOption(configOption())
    .addOption(jsonOption())
    .action(showManifest)
  const replace = new Command('rotate')
    .description(
      'Replaces the root keys, signed with the old and the new ones, or with --server the key of this server, whose old one is retired. Other operators follow by themselves.',
    )
    .addOption(configOption())
    .addOption(rootKeyOption())
    .addOption(
      new Option('--new-root-key <file>', 'a root key from now on, made if there is none; may be given several times')
        .argParser(collect)
        .default([], 'none'),
    )
    .addOption(
      new Option('--new-root-public <key>', 'the public part of one that is kept elsewhere, and cosigns there')
        .argParser(publicKeyOf)
        .default([], 'none'),
    )
    .addOption(new Option('--threshold <number>', 'how many of them have to sign').argParser(thresholdOf))
    .addOption(new Option('--server', 'replaces the key of this server instead'))
    .addOption(jsonOption())
    .action(rotate)
  const more = new Command('cosign')
    .description(
      'Adds signatures to a draft, where other root keys are kept. Look at it first: cpns manifest show FILE',
    )
    .argument('<file>', 'the draft that manifest sign or rotate wrote')
    .addOption(rootKeyOption('at least one'))
    .addOption(jsonOption())
    .action(cosignFile)
  const install = new Command('install')
    .description('Puts a manifest in force here that was signed elsewhere, as soon as it has all signatures.')
    .argument('<file>', 'the draft with its signatures, or the manifest.json of another server of this operator')
    .addOption(configOption())
    .addOption(jsonOption())
    .action(installFile)
  const all = new Command('manifest').description('What this operator says about itself.')
  for (const one of [show, sign, replace, more, install]) all.addCommand(one)
  return all
}

function thresholdOf(text: string): number {
  if (/^\d{1,2}$/.test(text) && Number(text) >= 1) return Number(text)
  throw new InvalidArgumentError('expected a number of root keys')
}

/** @throws {InvalidManifest} {@link FileProblem} */
async function showManifest(
  file: string | undefined,
  { config, json }: { readonly config: string; readonly json?: true },
): Promise<void> {
  const path = file ?? (await ownManifest(config))
  const signed = parseManifest(await readText(path))
  const crypto = nodeCrypto()
  const { manifest } = signed
  const fingerprint = rootFingerprint(manifest, crypto)
  if (json) {
    console.log(JSON.stringify({ fingerprint, ...manifest }))
    return verifyManifest(signed, crypto)
  }
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
  // Last: whoever is to sign a draft has to see what it says.
  verifyManifest(signed, crypto)
}

async function ownManifest(config: string): Promise<string> {
  const { configuration, at } = await openNodeFolder(config)
  return at(configuration.manifest)
}

async function signNext(options: SignOptions): Promise<void> {
  const folder = await openNodeFolder(options.config)
  const { configuration, at, configFile } = folder
  const crypto = nodeCrypto()
  const before = parseManifest(await readText(at(configuration.manifest)))
  verifyManifest(before, crypto)
  const rootKeys = await readRootKeys(options.rootKey, configFile)

  const gone = new Set<ServerId>([...options.remove, ...options.revoke].map(serverId))
  for (const server of gone) {
    if (before.manifest.servers.some(({ peerId }) => peerId === server)) continue
    throw new Refused(`${server} is no server of manifest ${before.manifest.seq}.`)
  }
  const added = await Promise.all(options.add.map(path => joining(path, configuration.operator)))
  const addedIds = new Set(added.map(({ peerId }) => peerId))
  const kept = before.manifest.servers.filter(({ peerId }) => !gone.has(peerId) && !addedIds.has(peerId))
  const changes = { servers: [...kept, ...added], revoked: options.revoke.map(serverId) }
  const next = nextManifest(before, changes, rootKeys, crypto, systemClock().now())
  tell(await putInForce(folder, next, before), options)
}

async function joining(path: string, operator: string): Promise<ManifestServer> {
  const { peerId, addresses, clientUrls, operator: itsOperator } = await readServerCard(path)
  if (itsOperator !== operator) throw new Refused(`${path} describes a server of ${itsOperator}, not of ${operator}.`)
  return { peerId, addresses, clientUrls }
}
