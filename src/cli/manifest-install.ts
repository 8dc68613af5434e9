import { rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { nodeCrypto } from '../adapters/crypto.ts'
import { exists, readText, syncFolder, writeText } from '../adapters/files.ts'
import { serverIdentity } from '../adapters/identity.ts'
import { readRootKey, readServerKeys } from '../adapters/operator-keys.ts'
import {
  cosign,
  formatManifest,
  parseManifest,
  rootFingerprint,
  type SignedManifest,
  validSignatures,
  verifyManifest,
} from '../federation/manifest.ts'
import { verifySuccession } from '../federation/manifest-chain.ts'
import { readConfiguration } from '../operations/configuration.ts'
import { withPin } from '../operations/trust-files.ts'
import { operatorId, type ServerId } from '../ports/names.ts'
import { askedJson, ifItRuns } from './ask-node.ts'
import { type NodeFolder, openNodeFolder } from './node-folder.ts'
import { Refused } from './problems.ts'

/*
 * The way of a manifest from its draft into force: signed with as many root keys as the one before asks for and it asks for itself,
 * in however many places these are kept; then in the folder, at the node that runs there, and from it at all others.
 */

/** Beside the server's key: the one that takes its place with the manifest that names it. */
export const nextKeyPath = (serverKeyPath: string): string => `${serverKeyPath}.next`

/** Where a manifest waits that lacks signatures. */
export const draftPath = (manifestPath: string): string => manifestPath.replace(/(\.json)?$/, '.draft.json')

export const readRootKeys = (paths: readonly string[], configFile: string): Promise<Uint8Array[]> =>
  Promise.all((paths.length > 0 ? paths : [join(dirname(configFile), 'keys/root.key')]).map(readRootKey))

/** What a manifest lacks that is to follow `before`; empty: nothing. */
export function lackingIn(next: SignedManifest, before: SignedManifest): string {
  const crypto = nodeCrypto()
  const lacks = (whose: SignedManifest, which: string) => {
    const { threshold, rootKeys } = whose.manifest
    const missing = threshold - validSignatures(next, whose.manifest, crypto)
    return missing > 0 ? [`${missing} of ${which} (${threshold} of ${rootKeys.length})`] : []
  }
  const own = lacks(next, 'its own root keys')
  const isSameRoot = rootFingerprint(next.manifest, crypto) === rootFingerprint(before.manifest, crypto)
  return [...own, ...(isSameRoot ? [] : lacks(before, `those of manifest ${before.manifest.seq}`))].join(', and ')
}

/** What became of a manifest: for people as lines, for programs the rest, as JSON. */
export interface ManifestReport {
  readonly operator: string
  readonly seq: number
  readonly state: 'in force' | 'draft'
  readonly file: string
  readonly lines: readonly string[]
  readonly [fact: string]: unknown
}

export function tell({ lines, ...facts }: ManifestReport, { json }: { readonly json?: true }): void {
  if (json) console.log(JSON.stringify(facts))
  else for (const line of lines) console.log(line)
}

/** Puts a manifest in force if it is signed by enough, else keeps it as a draft and says what it lacks. */
export async function putInForce(
  folder: NodeFolder,
  next: SignedManifest,
  before: SignedManifest,
): Promise<ManifestReport> {
  const lacking = lackingIn(next, before)
  if (lacking === '') return install(folder, next, before)
  const draft = draftPath(folder.at(folder.configuration.manifest))
  await writeText(draft, formatManifest(next))
  const { operator, seq } = next.manifest
  return {
    ...{ operator, seq, state: 'draft', file: draft, lacking },
    lines: [
      `Manifest ${seq} lacks signatures: ${lacking}.`,
      `Where those keys are: cpns manifest cosign ${draft} --root-key FILE; then here: cpns manifest install ${draft}`,
    ],
  }
}

/** `cpns manifest cosign`: needs neither node nor configuration. @throws {InvalidManifest} {@link FileProblem} */
export async function cosignFile(
  file: string,
  { rootKey, json }: { readonly rootKey: readonly string[]; readonly json?: true },
): Promise<void> {
  if (rootKey.length === 0) throw new Refused('Say with which root key: --root-key FILE')
  const signed = parseManifest(await readText(file))
  const keys = await Promise.all(rootKey.map(readRootKey))
  const next = cosign(signed, keys, nodeCrypto())
  await writeText(file, formatManifest(next))
  const { seq, operator, threshold } = next.manifest
  const own = validSignatures(next, next.manifest, nodeCrypto())
  const signatures = next.signatures.length
  const line = `Manifest ${seq} of ${operator} has ${signatures} signatures, ${own} of the ${threshold} that it asks for.`
  tell({ operator, seq, state: 'draft', file, signatures, own, threshold, lines: [line] }, json ? { json } : {})
}

/** `cpns manifest install`. @throws {InvalidManifest} {@link Refused} {@link FileProblem} */
export async function installFile(
  file: string,
  options: { readonly config: string; readonly json?: true },
): Promise<void> {
  const folder = await openNodeFolder(options.config)
  const next = parseManifest(await readText(file))
  const before = parseManifest(await readText(folder.at(folder.configuration.manifest)))
  if (next.manifest.operator !== folder.configuration.operator)
    throw new Refused(`${file} is a manifest of ${next.manifest.operator}, not of ${folder.configuration.operator}.`)
  tell(await install(folder, next, before), options)
}

/**
 * First the manifest, then what follows from it: whoever is interrupted says the same again.
 * @throws {InvalidManifest} {@link FileProblem}
 */
async function install(folder: NodeFolder, next: SignedManifest, before: SignedManifest): Promise<ManifestReport> {
  const { configuration, at, configFile } = folder
  const crypto = nodeCrypto()
  verifyManifest(next, crypto)
  verifySuccession(before, next, crypto)
  const file = at(configuration.manifest)
  await writeText(file, formatManifest(next))
  const { manifest } = next
  const lines = [`Manifest ${manifest.seq} of ${manifest.operator} names ${manifest.servers.length} servers: ${file}`]

  const fingerprint = rootFingerprint(manifest, crypto)
  if (configuration.trust[manifest.operator] !== fingerprint) {
    const text = withPin(await readText(configFile), manifest.operator, fingerprint)
    readConfiguration({ text, name: configFile })
    await writeText(configFile, text)
    lines.push(
      `Root fingerprint ${fingerprint}: who trusts you already follows by itself, whoever comes new pins this one.`,
    )
  }
  const isRenewed = await takeNextKey(at(configuration.keys.server), next, configuration.operator)
  const answer = await ifItRuns(askedJson(folder, 'POST', '/v1/manifests', { manifest: formatManifest(next) }))
  if (isRenewed) lines.push('This server has its new key: start it again.')
  else if (answer) lines.push('The node that runs here has it, and passes it on.')
  const { operator, seq } = manifest
  const isApplied = answer !== undefined && !isRenewed
  return { operator, seq, state: 'in force', file, fingerprint, isRenewed, isApplied, lines }
}

/** Puts the server's next key in the place of its key, if the manifest names it. Returns whether it did. */
async function takeNextKey(path: string, { manifest }: SignedManifest, operator: string): Promise<boolean> {
  const next = nextKeyPath(path)
  if (!(await exists(next)) || !isNamed(await serverOf(next, operator), manifest)) return false
  await rename(next, path)
  await syncFolder(dirname(path))
  return true
}

export const serverOf = async (keyPath: string, operator: string): Promise<ServerId> =>
  serverIdentity(operatorId(operator), (await readServerKeys(keyPath)).privateKey, nodeCrypto()).server

const isNamed = (server: ServerId, { servers }: SignedManifest['manifest']): boolean =>
  servers.some(({ peerId }) => peerId === server)
