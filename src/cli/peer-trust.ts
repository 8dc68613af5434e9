import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { nodeCrypto } from '../adapters/crypto.ts'
import { exists, filesIn, readText, writeText } from '../adapters/files.ts'
import { formatManifest, parseManifest, rootFingerprint, verifyManifest } from '../federation/manifest.ts'
import { readConfiguration } from '../operations/configuration.ts'
import { operatorId } from '../ports/names.ts'
import { askedJson, ifItRuns } from './ask-node.ts'
import { withoutPin, withPin } from './configuration-text.ts'
import { openNodeFolder } from './node-folder.ts'
import { Refused } from './problems.ts'

interface Options {
  readonly config: string
}

/** @throws {Refused} {@link InvalidManifest} {@link FileProblem} */
export async function trustPeer(file: string, options: Options): Promise<void> {
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
  if (await applied(options)) console.log('The node that runs here works with it from now on.')
}

/** @throws {Refused} {@link FileProblem} */
export async function revokePeer(name: string, options: Options): Promise<void> {
  const operator = operatorId(name)
  const { configuration, at, configFile } = await openNodeFolder(options.config)
  if (operator === configuration.operator) throw new Refused(`${operator} is this server's own operator.`)
  if (configuration.trust[operator] === undefined) {
    throw new Refused(`${operator} is not trusted; cpns peer list shows who is.`)
  }
  await rewrite(configFile, text => withoutPin(text, operator))
  const file = join(at(configuration.peers.folder), `${operator}.json`)
  if (await exists(file)) await unlink(file)
  const when = (await applied(options)) ? 'Its links are closed.' : 'No node runs here that had links with it.'
  console.log(`${operator} is trusted no longer. ${when}`)
}

/** Replaces the text of a configuration, if it is one afterwards. @throws {InvalidConfiguration} */
async function rewrite(configFile: string, change: (text: string) => string): Promise<void> {
  const text = change(await readText(configFile))
  readConfiguration({ text, name: configFile })
  await writeText(configFile, text)
}

/** Tells the node that runs here whom the folder trusts by now. Returns whether one runs. */
async function applied({ config }: Options): Promise<boolean> {
  const folder = await openNodeFolder(config)
  const { configuration, at } = folder
  const files = await filesIn(at(configuration.peers.folder), '.json')
  const manifests = await Promise.all(files.map(readText))
  const answer = await ifItRuns(askedJson(folder, 'PUT', '/v1/peers', { trust: configuration.trust, manifests }))
  return answer !== undefined
}
