import { Command, Option } from 'commander'
import { addSubscriber } from '../adapters/file-key-source.ts'
import { systemRandom } from '../adapters/random.ts'
import type { Credential } from '../ports/key-source.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption } from './options.ts'
import { Refused } from './problems.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'))
const text = (raw: Uint8Array) => Buffer.from(raw).toString('base64url')

/** `cpns subscriber add`: who may attach to this operator's servers, and with what. */
export function subscriberCommand(): Command {
  const add = new Command('add')
    .description('Adds a subscriber: an application, a gateway or a PNE. A running server takes it up at once.')
    .argument('<identity>', 'unique at this operator')
    .addOption(configOption())
    .addOption(
      new Option(
        '--psk [key]',
        'a pre-shared key of at least 32 bytes in base64url; generated and printed when left out',
      ),
    )
    .addOption(new Option('--ed25519 <public-key>', 'an Ed25519 public key, 32 bytes in base64url').conflicts('psk'))
    .action(async (identity: string, options: { config: string; psk?: string | true; ed25519?: string }) => {
      const { configuration, at } = await openNodeFolder(options.config)
      const credential = credentialOf(options)
      await addSubscriber(at(configuration.subscribers), { identity, credential })
      const secret = credential.kind === 'psk' && typeof options.psk !== 'string' ? { psk: text(credential.key) } : {}
      console.log(JSON.stringify({ operator: configuration.operator, identity, kind: credential.kind, ...secret }))
    })
  return new Command('subscriber').description('The subscribers of this operator.').addCommand(add)
}

function credentialOf({ psk, ed25519 }: { psk?: string | true; ed25519?: string }): Credential {
  if (ed25519 !== undefined) {
    const publicKey = bytes(ed25519)
    // A key that verifies nothing would be found out at the first log-in only.
    if (publicKey.length !== 32) throw new Refused('--ed25519 takes the 32 bytes of a public key in base64url.')
    return { kind: 'ed25519', publicKey }
  }
  if (typeof psk !== 'string') return { kind: 'psk', key: systemRandom().bytes(32) }
  const key = bytes(psk)
  if (key.length < 32)
    throw new Refused('--psk takes at least 32 bytes in base64url; leave it out to have one generated.')
  return { kind: 'psk', key }
}
