import { withFileLock } from '../adapters/file-lock.ts'
import { readText, removeFile, writeText } from '../adapters/files.ts'
import { formatManifest, rootFingerprint, type SignedManifest, verifyManifest } from '../federation/manifest.ts'
import type { Crypto } from '../ports/crypto.ts'
import { type OperatorId, operatorId } from '../ports/names.ts'
import { readConfiguration } from './configuration.ts'
import type { Configuration } from './configuration-schema.ts'

/*
 * Whom a node trusts, where an operator can read it: pins in the configuration, which keeps its comments, and a manifest of each
 * beside it. What is said here holds at the next start; a node that runs has to be told too.
 */

export interface TrustFiles {
  /** This server's own. */
  readonly operator: OperatorId
  readonly configFile: string
  /** Of manifests of other operators. */
  readonly peersFolder: string
}

/** An operator that cannot be trusted, or is not; the message says why and what to do. */
export class PinRefused extends Error {
  override readonly name = 'PinRefused'
}

/**
 * Pins an operator to the root keys of its manifest. Returns their fingerprint.
 * @throws {PinRefused} {@link InvalidManifest} {@link InvalidConfiguration} {@link FileProblem}
 */
export async function pinOperator(files: TrustFiles, signed: SignedManifest, crypto: Crypto): Promise<string> {
  verifyManifest(signed, crypto)
  const { operator } = signed.manifest
  const fingerprint = rootFingerprint(signed.manifest, crypto)
  if (operator === files.operator)
    throw new PinRefused(`This is the manifest of ${operator}, this server's own operator.`)
  await rewrite(files.configFile, async ({ trust }) => {
    const pinned = trust[operator]
    if (pinned !== undefined && pinned !== fingerprint) {
      throw new PinRefused(
        `${operator} is pinned to ${pinned}, this manifest has ${fingerprint}. If its root keys were replaced out of order, remove the old pin first: cpns peer revoke ${operator}`,
      )
    }
    await writeText(manifestFile(files, operator), formatManifest(signed))
    return text => withPin(text, operator, fingerprint)
  })
  return fingerprint
}

/** @throws {PinRefused} {@link InvalidConfiguration} {@link FileProblem} */
export async function unpinOperator(files: TrustFiles, operator: OperatorId): Promise<void> {
  if (operator === files.operator) throw new PinRefused(`${operator} is this server's own operator.`)
  await rewrite(files.configFile, async ({ trust }) => {
    if (trust[operator] === undefined) {
      throw new PinRefused(`${operator} is not trusted; cpns peer list shows who is.`)
    }
    return text => withoutPin(text, operator)
  })
  await removeFile(manifestFile(files, operator))
}

/** Where it is kept whom a node trusts, for its next start. */
export interface KeptTrust {
  /**
   * Keeps an operator's pin and manifest. Returns all pins that hold from now on.
   * @throws {PinRefused} {@link InvalidManifest} {@link InvalidConfiguration} {@link FileProblem} when no pin was changed
   */
  pin(signed: SignedManifest): Promise<ReadonlyMap<OperatorId, string>>
}

/** In the files of a node's folder. @param read reads its configuration anew, with what the environment and flags say */
export const trustKeptIn = (
  files: TrustFiles,
  read: () => Promise<Pick<Configuration, 'trust'>>,
  crypto: Crypto,
): KeptTrust => ({
  async pin(signed) {
    await pinOperator(files, signed, crypto)
    return pinsOf(await read())
  },
})

/** Root fingerprints of the operators that are trusted. */
export const pinsOf = ({ trust }: Pick<Configuration, 'trust'>): Map<OperatorId, string> =>
  new Map(Object.entries(trust).map(([operator, fingerprint]) => [operatorId(operator), fingerprint]))

const manifestFile = ({ peersFolder }: TrustFiles, operator: OperatorId): string => `${peersFolder}/${operator}.json`

/** Replaces the text of a configuration, if it is one afterwards; one change after another, whoever makes them. */
async function rewrite(
  configFile: string,
  decide: (found: Configuration) => Promise<(text: string) => string>,
): Promise<void> {
  await withFileLock(configFile, 'configuration', async () => {
    const text = await readText(configFile)
    const change = await decide(readConfiguration({ text, name: configFile }))
    const changed = change(text)
    readConfiguration({ text: changed, name: configFile })
    await writeText(configFile, changed)
  })
}

const header = /^\[trust\][^\n]*\n/m

const pinOf = (operator: string) => new RegExp(`^"?${operator.replaceAll('.', '\\.')}"?\\s*=.*\\n?`, 'm')

/** Pins an operator in the text of a configuration, which keeps its comments. An older pin of the same operator goes. */
export function withPin(text: string, operator: string, fingerprint: string): string {
  const line = `"${operator}" = "${fingerprint}"\n`
  const at = header.exec(text)
  if (!at) return `${text.trimEnd()}\n\n[trust]\n${line}`
  const start = at.index + at[0].length
  return text.slice(0, start) + line + text.slice(start).replace(pinOf(operator), '')
}

/** Takes an operator's pin out of the text of a configuration, which keeps its comments. */
export function withoutPin(text: string, operator: string): string {
  const at = header.exec(text)
  if (!at) return text
  const start = at.index + at[0].length
  return text.slice(0, start) + text.slice(start).replace(pinOf(operator), '')
}
