import { Command, Option } from 'commander'
import { z } from 'zod'
import { nodeCrypto } from '../adapters/crypto.ts'
import { exists, jsonOf, readText, writeText } from '../adapters/files.ts'
import { serverIdentity } from '../adapters/identity.ts'
import {
  formatOperatorSecrets,
  parseOperatorSecrets,
  readOperatorSecrets,
  readServerKeys,
  writeOperatorSecrets,
} from '../adapters/operator-keys.ts'
import { formatManifest, parseManifest, rootFingerprint, verifyManifest } from '../federation/manifest.ts'
import { signedBytes } from '../ports/identity.ts'
import { operatorId, publicKeyOf, serverId, serverOfPublicKey } from '../ports/names.ts'
import { refuseLater } from '../ports/stored-format.ts'
import { base64url } from './base64url.ts'
import { type NodeFolder, openNodeFolder } from './node-folder.ts'
import { configOption, jsonOption } from './options.ts'
import { Refused } from './problems.ts'
import { readServerCard } from './server-card.ts'

/*
 * The secrets that all servers of an operator share, on their way to a further one: sealed (HPKE) to that server's
 * exchange key and signed by the server that sends them, together with the manifest that names both.
 */

const formatVersion = 1
const bundleSchema = z.strictObject({
  version: z.literal(formatVersion),
  operator: z.string(),
  from: z.string(),
  to: z.string(),
  enc: z.base64url(),
  sealed: z.base64url(),
  signature: z.base64url(),
  manifest: z.unknown(),
})
type Bundle = z.infer<typeof bundleSchema>

const bytes = (text: string) => new TextEncoder().encode(text)
const infoOf = (bundle: Pick<Bundle, 'operator' | 'from' | 'to'>) =>
  bytes(JSON.stringify(['cpns-secrets-v1', bundle.operator, bundle.from, bundle.to]))
const signedPart = ({ operator, from, to, enc, sealed }: Omit<Bundle, 'signature' | 'manifest' | 'version'>) =>
  nodeCrypto().sha256(bytes(JSON.stringify([operator, from, to, enc, sealed])))

/** `cpns secret export|import`. */
export function secretCommand(): Command {
  const exported = new Command('export')
    .description("Seals this operator's shared secrets to another of its servers.")
    .addOption(configOption())
    .addOption(new Option('--to <server.json>', 'the file that cpns init --join wrote').makeOptionMandatory())
    .addOption(new Option('--out <file>', 'the bundle').makeOptionMandatory())
    .addOption(jsonOption())
    .action(exportSecrets)
  const imported = new Command('import')
    .description('Opens a bundle that was sealed to this server: shared secrets and manifest.')
    .argument('<bundle>')
    .addOption(configOption())
    .addOption(jsonOption())
    .action(importSecrets)
  return new Command('secret')
    .description('The secrets that all servers of this operator share.')
    .addCommand(exported)
    .addCommand(imported)
}

async function exportSecrets(options: { config: string; to: string; out: string; json?: true }): Promise<void> {
  const folder = await openNodeFolder(options.config)
  const { configuration, at } = folder
  const crypto = nodeCrypto()
  const card = await readServerCard(options.to)
  const signed = parseManifest(await readText(at(configuration.manifest)))
  if (!signed.manifest.servers.some(({ peerId }) => peerId === card.peerId)) {
    throw new Refused(
      `The manifest does not name ${card.peerId} yet; run first: cpns manifest sign --add ${options.to}`,
    )
  }
  const secrets = await readOperatorSecrets(at(configuration.keys.secrets))
  const identity = await identityOf(folder)
  const ends = { operator: configuration.operator, from: identity.server, to: card.peerId }
  const { enc, ciphertext } = await crypto.hpke.seal({
    recipientPublicKey: base64url.decode(card.exchangeKey),
    info: infoOf(ends),
    aad: new Uint8Array(),
    plaintext: bytes(formatOperatorSecrets(secrets)),
  })
  const body = { ...ends, enc: base64url.encode(enc), sealed: base64url.encode(ciphertext) }
  const signature = base64url.encode(identity.sign('cpns-secrets-v1', signedPart(body)))
  await writeText(
    options.out,
    `${JSON.stringify({ version: formatVersion, ...body, signature, manifest: signed }, undefined, 2)}\n`,
  )
  const sealed = { operator: ends.operator, to: ends.to, file: options.out }
  console.log(options.json ? JSON.stringify(sealed) : `Sealed to ${card.peerId}: ${options.out}`)
}

async function importSecrets(file: string, options: { config: string; json?: true }): Promise<void> {
  const folder = await openNodeFolder(options.config)
  const { configuration, at } = folder
  const crypto = nodeCrypto()
  const bundle = parseBundle(file, await readText(file))
  const keys = await readServerKeys(at(configuration.keys.server))
  const self = serverOfPublicKey(crypto.ed25519.publicKey(keys.privateKey))
  if (bundle.operator !== configuration.operator || bundle.to !== self) {
    throw new Refused(
      `${file} is for server ${bundle.to} of ${bundle.operator}; this is ${self} of ${configuration.operator}.`,
    )
  }
  const signed = parseManifest(JSON.stringify(bundle.manifest))
  verifyManifest(signed, crypto)
  const fingerprint = rootFingerprint(signed.manifest, crypto)
  if (
    signed.manifest.operator !== configuration.operator ||
    configuration.trust[configuration.operator] !== fingerprint
  ) {
    throw new Refused(
      `The manifest in ${file} has root fingerprint ${fingerprint}, which [trust] does not pin for ${configuration.operator}.`,
    )
  }
  const present = at(configuration.manifest)
  if (await exists(present)) {
    const { seq } = parseManifest(await readText(present)).manifest
    if (signed.manifest.seq < seq) {
      throw new Refused(`The bundle in ${file} is older than manifest ${seq}, which is here; have it exported again.`)
    }
  }
  const named = new Set<string>(signed.manifest.servers.map(({ peerId }) => peerId))
  const message = signedBytes('cpns-secrets-v1', signedPart(bundle))
  const authentic = crypto.ed25519.verify(
    publicKeyOf(serverId(bundle.from)),
    message,
    base64url.decode(bundle.signature),
  )
  if (!named.has(bundle.from) || !named.has(self) || !authentic) {
    throw new Refused(`${file} does not come from a server of ${configuration.operator}; have it exported again.`)
  }
  const { plaintext } = await crypto.hpke.open({
    recipientPrivateKey: keys.exchange.privateKey,
    enc: base64url.decode(bundle.enc),
    info: infoOf(bundle),
    aad: new Uint8Array(),
    ciphertext: base64url.decode(bundle.sealed),
  })
  await writeOperatorSecrets(at(configuration.keys.secrets), parseOperatorSecrets(new TextDecoder().decode(plaintext)))
  await writeText(at(configuration.manifest), formatManifest(signed))
  const { operator, seq } = signed.manifest
  if (options.json) return console.log(JSON.stringify({ operator, seq }))
  console.log(`Secrets of ${operator} and its manifest ${seq} are in place.`)
}

async function identityOf({ configuration, at }: NodeFolder) {
  const { privateKey } = await readServerKeys(at(configuration.keys.server))
  return serverIdentity(operatorId(configuration.operator), privateKey, nodeCrypto())
}

function parseBundle(file: string, text: string): Bundle {
  const bundle = jsonOf(text)
  refuseLater(file, bundle, formatVersion)
  const { data } = bundleSchema.safeParse(bundle)
  if (data) return data
  throw new Refused(`${file} is not a bundle of secrets; make one with: cpns secret export`)
}
