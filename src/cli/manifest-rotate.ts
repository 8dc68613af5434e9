import { dirname, join } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { systemClock } from '../adapters/clock.ts'
import { nodeCrypto } from '../adapters/crypto.ts'
import { exists, readText, writeText } from '../adapters/files.ts'
import { serverIdentity } from '../adapters/identity.ts'
import { readRootKey, readServerKeys, writeRootKey, writeServerKeys } from '../adapters/operator-keys.ts'
import { nextManifest, parseManifest, type SignedManifest, verifyManifest } from '../federation/manifest.ts'
import { operatorId } from '../ports/names.ts'
import { base64url } from './base64url.ts'
import { type ManifestReport, nextKeyPath, putInForce, readRootKeys, serverOf, tell } from './manifest-install.ts'
import { type NodeFolder, openNodeFolder } from './node-folder.ts'
import { Refused } from './problems.ts'
import { formatServerCard } from './server-card.ts'

interface Options {
  readonly config: string
  readonly rootKey: readonly string[]
  readonly newRootKey: readonly string[]
  readonly newRootPublic: readonly Uint8Array[]
  readonly threshold?: number
  readonly server?: true
  readonly json?: true
}

/**
 * `cpns manifest rotate`: other root keys, or another key of this server.
 * @throws {Refused} {@link InvalidManifest} {@link FileProblem}
 */
export async function rotate(options: Options): Promise<void> {
  const folder = await openNodeFolder(options.config)
  const before = parseManifest(await readText(folder.at(folder.configuration.manifest)))
  verifyManifest(before, nodeCrypto())
  const isRoot = options.newRootKey.length + options.newRootPublic.length > 0 || options.threshold !== undefined
  if (isRoot && options.server) throw new Refused('Rotate root keys and the key of a server one after the other.')
  if (options.server) return tell(await rotateServer(folder, before, options), options)
  if (isRoot) return tell(await rotateRoots(folder, before, options), options)
  throw new Refused('Say what to rotate: --new-root-key FILE for root keys, --server for the key of this server.')
}

/** Those that are named are all root keys from then on. A file that is not there gets a new key. */
async function rotateRoots(folder: NodeFolder, before: SignedManifest, options: Options): Promise<ManifestReport> {
  const crypto = nodeCrypto()
  const old = await readRootKeys(options.rootKey, folder.configFile)
  const isThere = await Promise.all(options.newRootKey.map(exists))
  const made = await Promise.all(options.newRootKey.map(rootKeyIn))
  const named = [...made.map(key => crypto.ed25519.publicKey(key)), ...options.newRootPublic]
  const changes = {
    ...(named.length > 0 && { rootKeys: named }),
    threshold: options.threshold ?? Math.min(before.manifest.threshold, named.length),
  }
  const next = nextManifest(before, changes, [...old, ...made], crypto, systemClock().now())
  const report = await putInForce(folder, next, before)
  const newRootKeys = options.newRootKey.filter((_, at) => !isThere[at])
  const keyLines = newRootKeys.map(path => `New root key in ${path}: move it to a safe place offline.`)
  return { ...report, newRootKeys, lines: [...keyLines, ...report.lines] }
}

async function rootKeyIn(path: string): Promise<Uint8Array> {
  if (await exists(path)) return readRootKey(path)
  const { privateKey } = nodeCrypto().ed25519.generate()
  await writeRootKey(path, privateKey)
  return privateKey
}

/** The server keeps its addresses and what it stores; its old key is retired: what it signed still holds. */
async function rotateServer(folder: NodeFolder, before: SignedManifest, options: Options): Promise<ManifestReport> {
  const { configuration, at, configFile } = folder
  const operator = operatorId(configuration.operator)
  const crypto = nodeCrypto()
  const keyPath = at(configuration.keys.server)
  const current = await serverOf(keyPath, operator)
  const entry = before.manifest.servers.find(({ peerId }) => peerId === current)
  if (!entry) throw new Refused(`Manifest ${before.manifest.seq} does not name this server ${current}.`)

  const nextPath = nextKeyPath(keyPath)
  if (!(await exists(nextPath))) {
    const { privateKey } = crypto.ed25519.generate()
    await writeServerKeys(nextPath, { privateKey, exchange: await crypto.hpke.generateKeyPair() })
  }
  const { privateKey, exchange } = await readServerKeys(nextPath)
  const identity = serverIdentity(operator, privateKey, crypto)
  const { addresses, clientUrls } = entry
  const card = { addresses, clientUrls, exchangeKey: base64url.encode(exchange.publicKey) }
  const cardFile = join(dirname(configFile), 'server.json')
  await writeText(cardFile, formatServerCard(card, identity))

  if (options.rootKey.length === 0 && !(await exists(join(dirname(configFile), 'keys/root.key')))) {
    const lines = [
      `The next key of this server is ${identity.server}. Where the root key is:`,
      `  cpns manifest sign --remove ${current} --add ${cardFile}`,
      'Here, with the manifest.json from there: cpns manifest install FILE; then start the node again.',
    ]
    const { seq } = before.manifest
    return { operator, seq, state: 'in force', file: cardFile, server: current, nextServer: identity.server, lines }
  }
  const rootKeys = await readRootKeys(options.rootKey, configFile)
  const servers = before.manifest.servers.map(server =>
    server.peerId === current ? { ...server, peerId: identity.server } : server,
  )
  const next = nextManifest(before, { servers }, rootKeys, crypto, systemClock().now())
  return { ...(await putInForce(folder, next, before)), server: current, nextServer: identity.server }
}

/** A root key's public part, as `cpns manifest show --json` names it. @throws {InvalidArgumentError} */
export function publicKeyOf(text: string, previous: readonly Uint8Array[]): readonly Uint8Array[] {
  if (/^[A-Za-z0-9_-]{43}$/.test(text)) return [...previous, base64url.decode(text)]
  throw new InvalidArgumentError('expected the 43 characters of a public key')
}
