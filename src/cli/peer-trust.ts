import { nodeCrypto } from '../adapters/crypto.ts'
import { filesIn, readText } from '../adapters/files.ts'
import { parseManifest } from '../federation/manifest.ts'
import { pinOperator, type TrustFiles, unpinOperator } from '../operations/trust-files.ts'
import { operatorId } from '../ports/names.ts'
import { askedJson, ifItRuns } from './ask-node.ts'
import { type NodeFolder, openNodeFolder } from './node-folder.ts'

interface Options {
  readonly config: string
  readonly json?: true
}

/** @throws {PinRefused} {@link InvalidManifest} {@link FileProblem} */
export async function trustPeer(file: string, { config, json }: Options): Promise<void> {
  const signed = parseManifest(await readText(file))
  const fingerprint = await pinOperator(trustFiles(await openNodeFolder(config)), signed, nodeCrypto())
  const { operator, seq } = signed.manifest
  const isApplied = await applied(config)
  if (json) return console.log(JSON.stringify({ operator, seq, fingerprint, isApplied }))
  console.log(`${operator} is trusted: manifest ${seq}, root fingerprint ${fingerprint}`)
  if (isApplied) console.log('The node that runs here works with it from now on.')
}

/** @throws {PinRefused} {@link FileProblem} */
export async function revokePeer(name: string, { config, json }: Options): Promise<void> {
  const operator = operatorId(name)
  await unpinOperator(trustFiles(await openNodeFolder(config)), operator)
  const isApplied = await applied(config)
  if (json) return console.log(JSON.stringify({ operator, isApplied }))
  const when = isApplied ? 'Its links are closed.' : 'No node runs here that had links with it.'
  console.log(`${operator} is trusted no longer. ${when}`)
}

/** Where the node of a folder has it whom it trusts. */
export const trustFiles = ({ configuration, at, configFile }: NodeFolder): TrustFiles => ({
  operator: operatorId(configuration.operator),
  configFile,
  peersFolder: at(configuration.peers.folder),
})

/** Tells the node that runs here whom the folder trusts by now. Returns whether one runs. */
async function applied(config: string): Promise<boolean> {
  const folder = await openNodeFolder(config)
  const { configuration, at } = folder
  const files = await filesIn(at(configuration.peers.folder), '.json')
  const manifests = await Promise.all(files.map(readText))
  const answer = await ifItRuns(askedJson(folder, 'PUT', '/v1/peers', { trust: configuration.trust, manifests }))
  return answer !== undefined
}
