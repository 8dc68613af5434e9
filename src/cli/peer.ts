import { join } from 'node:path'
import { Command } from 'commander'
import { nodeCrypto } from '../adapters/crypto.ts'
import { readText, writeText } from '../adapters/files.ts'
import { formatManifest, parseManifest, rootFingerprint, verifyManifest } from '../federation/manifest.ts'
import { readConfiguration } from '../operations/configuration.ts'
import { withPin } from './configuration-text.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption } from './options.ts'
import { Refused } from './problems.ts'

/** `cpns peer trust`: federate with another operator from now on. */
export function peerCommand(): Command {
  const trust = new Command('trust')
    .description(
      'Trusts an operator: pins the root keys of its manifest. Compare the fingerprint with the operator first.',
    )
    .argument('<manifest-file>', 'the manifest.json that the operator gave you')
    .addOption(configOption())
    .action(async (file: string, options: { config: string }) => {
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
          `${operator} is pinned to ${pinned}, this manifest has ${fingerprint}. If its root keys were replaced out of order, remove the old pin from ${configFile} first.`,
        )
      }
      await writeText(join(at(configuration.peers.folder), `${operator}.json`), formatManifest(signed))
      const text = withPin(await readText(configFile), operator, fingerprint)
      readConfiguration({ text, name: configFile })
      await writeText(configFile, text)
      console.log(`${operator} is trusted: manifest ${signed.manifest.seq}, root fingerprint ${fingerprint}`)
    })
  return new Command('peer').description('Operators that this server works with.').addCommand(trust)
}
