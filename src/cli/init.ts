import { join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { systemClock } from '../adapters/clock.ts'
import { nodeCrypto } from '../adapters/crypto.ts'
import { exists, writeText } from '../adapters/files.ts'
import { serverIdentity } from '../adapters/identity.ts'
import { newRingKey, writeKeyRing } from '../adapters/key-ring.ts'
import {
  generateOperatorSecrets,
  writeOperatorSecrets,
  writeRootKey,
  writeServerKeys,
} from '../adapters/operator-keys.ts'
import { systemRandom } from '../adapters/random.ts'
import { createManifest, formatManifest, type ManifestServer, rootFingerprint } from '../federation/manifest.ts'
import { readConfiguration } from '../operations/configuration.ts'
import { type OperatorId, operatorId } from '../ports/names.ts'
import { base64url } from './base64url.ts'
import { configurationText } from './configuration-text.ts'
import { jsonOption } from './options.ts'
import { newPassphrase } from './passphrase.ts'
import { Refused } from './problems.ts'
import { formatServerCard } from './server-card.ts'

/** How long a manifest is good: long enough to renew it in peace, short enough that a forgotten operator fades. */
const manifestLifetimeMs = 365 * 24 * 60 * 60 * 1000

interface InitOptions {
  readonly operator: string
  readonly join?: string
  readonly listen: string
  readonly announce?: string
  readonly clientHost: string
  readonly clientPort: string
  readonly clientUrl?: string
  readonly lock?: true
  readonly json?: true
}

/** `cpns init`: a folder with everything a server needs, for a new operator or for one more server of an existing one. */
export function initCommand(): Command {
  return new Command('init')
    .description('Writes configuration, keys (mode 0600) and a signed manifest into a new folder.')
    .argument('<dir>', 'the folder; created if missing')
    .addOption(new Option('--operator <domain>', 'the operator, such as a.example').makeOptionMandatory())
    .addOption(
      new Option(
        '--join <fingerprint>',
        'one more server of an operator that exists: the fingerprint of its root keys',
      ),
    )
    .addOption(
      new Option('--listen <multiaddr>', 'where other servers reach this one').default('/ip4/127.0.0.1/tcp/4600'),
    )
    .addOption(new Option('--announce <multiaddr>', 'what the manifest says instead, behind a NAT or proxy'))
    .addOption(new Option('--client-host <host>', 'where clients attach').default('127.0.0.1'))
    .addOption(new Option('--client-port <port>', 'where clients attach').default('4680'))
    .addOption(new Option('--client-url <url>', 'what the manifest says instead, behind a proxy'))
    .addOption(
      new Option(
        '--lock',
        'locks the key of the subscribers by the passphrase in CPNS_PASSPHRASE; start needs it then',
      ),
    )
    .addOption(jsonOption())
    .action(init)
}

async function init(dir: string, options: InitOptions): Promise<void> {
  const folder = resolve(dir)
  const configFile = join(folder, 'cpns.toml')
  if (await exists(configFile)) throw new Refused(`${configFile} is there already; choose another folder.`)

  const operator = operatorId(options.operator)
  const lockedBy = options.lock ? newPassphrase() : undefined
  const textWith = (fingerprint: string) =>
    configurationText({
      operator,
      fingerprint,
      listen: options.listen,
      host: options.clientHost,
      port: options.clientPort,
    })
  // Before anything is written: a wrong port or fingerprint is refused here as it would be at the start.
  readConfiguration({ text: textWith(options.join ?? 'A'.repeat(43)), name: 'cpns init' })
  const crypto = nodeCrypto()
  const serverKey = crypto.ed25519.generate()
  const exchange = await crypto.hpke.generateKeyPair()
  const identity = serverIdentity(operator, serverKey.privateKey, crypto)
  const server: ManifestServer = {
    peerId: identity.server,
    addresses: [options.announce ?? options.listen],
    clientUrls: [options.clientUrl ?? `ws://${options.clientHost}:${options.clientPort}`],
  }
  const { addresses, clientUrls } = server
  const card = { addresses, clientUrls, exchangeKey: base64url.encode(exchange.publicKey) }
  await writeServerKeys(join(folder, 'keys/server.key'), { privateKey: serverKey.privateKey, exchange })
  await writeKeyRing(join(folder, 'keys/subscribers.key'), [newRingKey()], lockedBy)
  await writeText(join(folder, 'server.json'), formatServerCard(card, identity))

  const fingerprint = options.join ?? (await found(folder, operator, server))
  await writeText(configFile, textWith(fingerprint))
  if (options.json) return console.log(JSON.stringify({ operator, server: server.peerId, fingerprint, folder }))
  console.log(`Server ${server.peerId} of ${operator} in ${folder}`)
  console.log(`Root fingerprint ${fingerprint}`)
  for (const step of options.join ? stepsToJoin(folder) : stepsToServe(folder)) console.log(`  ${step}`)
}

/** Root key, shared secrets and first manifest of a new operator. Answers the root fingerprint. */
async function found(folder: string, operator: OperatorId, server: ManifestServer): Promise<string> {
  const crypto = nodeCrypto()
  const now = systemClock().now()
  const root = crypto.ed25519.generate()
  const secrets = await generateOperatorSecrets(crypto, systemRandom())
  const manifest = createManifest(
    operator,
    {
      expires: now + manifestLifetimeMs,
      threshold: 1,
      servers: [server],
      registrationKeys: secrets.registrationKeys.map(({ epoch, publicKey }) => ({
        epoch,
        publicKey: base64url.encode(publicKey),
      })),
    },
    [root.privateKey],
    crypto,
    now,
  )
  await writeRootKey(join(folder, 'keys/root.key'), root.privateKey)
  await writeOperatorSecrets(join(folder, 'keys/operator.secrets'), secrets)
  await writeText(join(folder, 'manifest.json'), formatManifest(manifest))
  return rootFingerprint(manifest.manifest, crypto)
}

const stepsToServe = (folder: string) => [
  `Move ${join(folder, 'keys/root.key')} to a safe place offline: it is needed for new manifests only.`,
  `Give ${join(folder, 'manifest.json')} to other operators; take theirs with: cpns peer trust FILE`,
  `Start: cpns start --config ${join(folder, 'cpns.toml')}`,
]

const stepsToJoin = (folder: string) => [
  `Where the root key is: cpns manifest sign --add ${join(folder, 'server.json')}`,
  `On a server of the operator: cpns secret export --to ${join(folder, 'server.json')} --out bundle.json`,
  `Here: cpns secret import bundle.json --config ${join(folder, 'cpns.toml')}`,
]
