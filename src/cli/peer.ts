import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import { systemClock } from '../adapters/clock.ts'
import { nodeCrypto } from '../adapters/crypto.ts'
import { exists, readText, writeText } from '../adapters/files.ts'
import { formatManifest, parseManifest, rootFingerprint, verifyManifest } from '../federation/manifest.ts'
import { readConfiguration } from '../operations/configuration.ts'
import { readTrusted } from '../operations/doctor/trusted.ts'
import { operatorId } from '../ports/names.ts'
import { withoutPin, withPin } from './configuration-text.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption } from './options.ts'
import { Refused } from './problems.ts'
import { formatDay, formatTable } from './table.ts'

interface Asked {
  readonly config: string
  readonly json?: true
}

/** `cpns peer …`: which other operators this server works with. */
export function peerCommand(): Command {
  const list = new Command('list')
    .description('Lists the operators that are trusted, and what is known of their manifests.')
    .addOption(configOption())
    .addOption(new Option('--json', 'prints JSON'))
    .action(listPeers)

  const trust = new Command('trust')
    .description(
      'Trusts an operator: pins the root keys of its manifest. Compare the fingerprint with the operator first.',
    )
    .argument('<manifest-file>', 'the manifest.json that the operator gave you')
    .addOption(configOption())
    .action(trustPeer)

  const revoke = new Command('revoke')
    .description(
      'Trusts an operator no longer, from the next start on. What it holds of yours it keeps: revoke grants first.',
    )
    .argument('<operator>', 'as cpns peer list names it')
    .addOption(configOption())
    .action(revokePeer)

  const all = new Command('peer').description('Operators that this server works with.')
  for (const one of [list, trust, revoke]) all.addCommand(one)
  return all
}

/** What is known of an operator that is pinned. */
interface Peer {
  readonly operator: string
  readonly fingerprint: string
  /** `missing`: nothing is known of it but the pin. */
  readonly state: 'good' | 'expired' | 'missing' | 'unusable'
  readonly seq?: number
  readonly servers?: number
  readonly expires?: number
}

async function listPeers({ config, json }: Asked): Promise<void> {
  const { configuration, at } = await openNodeFolder(config)
  const pins = Object.entries(configuration.trust).filter(([operator]) => operator !== configuration.operator)
  const peers = await Promise.all(
    pins.map(([operator, fingerprint]) =>
      known(operator, fingerprint, join(at(configuration.peers.folder), `${operator}.json`)),
    ),
  )
  if (json) return console.log(JSON.stringify(peers))
  const rows = peers.map(({ operator, state, seq, servers, expires, fingerprint }) => [
    operator,
    state,
    seq === undefined ? '–' : String(seq),
    servers === undefined ? '–' : String(servers),
    expires === undefined ? '–' : formatDay(expires),
    fingerprint,
  ])
  const headings = ['operator', 'manifest', 'number', 'servers', 'good until', 'root fingerprint']
  console.log(formatTable(headings, rows, 'No other operator is trusted: cpns peer trust FILE'))
}

async function known(operator: string, fingerprint: string, file: string): Promise<Peer> {
  if (!(await exists(file))) return { operator, fingerprint, state: 'missing' }
  try {
    const { seq, servers, expires } = (await readTrusted(file, fingerprint)).manifest
    const state = expires > systemClock().now() ? 'good' : 'expired'
    return { operator, fingerprint, state, seq, servers: servers.length, expires }
  } catch {
    return { operator, fingerprint, state: 'unusable' }
  }
}

async function trustPeer(file: string, options: Asked): Promise<void> {
  const { configuration, at, configFile } = await openNodeFolder(options.config)
  const signed = parseManifest(await readText(file))
  const crypto = nodeCrypto()
  verifyManifest(signed, crypto)
  const { operator } = signed.manifest
  const fingerprint = rootFingerprint(signed.manifest, crypto)
  if (operator === configuration.operator) throw new Refused(`${file} is this operator's own manifest.`)
  const pinned = configuration.trust[operator]
  if (pinned !== undefined && pinned !== fingerprint) {
    throw new Refused(
      `${operator} is pinned to ${pinned}, this manifest has ${fingerprint}. If its root keys were replaced out of order, remove the old pin first: cpns peer revoke ${operator}`,
    )
  }
  await writeText(join(at(configuration.peers.folder), `${operator}.json`), formatManifest(signed))
  await rewrite(configFile, text => withPin(text, operator, fingerprint))
  console.log(`${operator} is trusted: manifest ${signed.manifest.seq}, root fingerprint ${fingerprint}`)
}

async function revokePeer(name: string, options: Asked): Promise<void> {
  const operator = operatorId(name)
  const { configuration, at, configFile } = await openNodeFolder(options.config)
  if (operator === configuration.operator) throw new Refused(`${operator} is this server's own operator.`)
  if (configuration.trust[operator] === undefined) {
    throw new Refused(`${operator} is not trusted; cpns peer list shows who is.`)
  }
  await rewrite(configFile, text => withoutPin(text, operator))
  const file = join(at(configuration.peers.folder), `${operator}.json`)
  if (await exists(file)) await unlink(file)
  console.log(`${operator} is trusted no longer, as soon as this server starts again.`)
}

/** Replaces the text of a configuration, if it is one afterwards. @throws {InvalidConfiguration} */
async function rewrite(configFile: string, change: (text: string) => string): Promise<void> {
  const text = change(await readText(configFile))
  readConfiguration({ text, name: configFile })
  await writeText(configFile, text)
}
