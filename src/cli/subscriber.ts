import { Command, Option } from 'commander'
import { readOperatorSecrets } from '../adapters/operator-keys.ts'
import { systemRandom } from '../adapters/random.ts'
import { recordOf, shownOf } from '../adapters/subscriber-record.ts'
import {
  addSubscriber,
  readSubscribers,
  rekeySubscribers,
  removeSubscriber,
  type SubscriberFiles,
  subscriberOfLine,
} from '../adapters/subscriber-store.ts'
import { type Credential, type Subscriber, type SubscriberRight, subscriberRights } from '../ports/key-source.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption, jsonOption } from './options.ts'
import { newPassphrase, passphrase } from './passphrase.ts'
import { Refused } from './problems.ts'
import { formatTable } from './table.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'))
const text = (raw: Uint8Array) => Buffer.from(raw).toString('base64url')

interface Common {
  readonly config: string
  readonly json?: true
}

/** `cpns subscriber …`: who may attach to this operator's servers, and with what. No secret is printed but a new one, once. */
export function subscriberCommand(): Command {
  const add = command('add <identity>', 'Adds a subscriber: an application, a gateway or a PNE. Prints it as JSON.')
    .addOption(
      new Option(
        '--psk [key]',
        'a pre-shared key of at least 32 bytes in base64url (one that begins with a hyphen as --psk=KEY); generated and printed when left out',
      ),
    )
    .addOption(new Option('--ed25519 <public-key>', 'an Ed25519 public key, 32 bytes in base64url').conflicts('psk'))
    .addOption(
      new Option(
        '--x25519 <public-key>',
        'of a PNE that registers with a key pair: its X25519 public key, 32 bytes in base64url',
      ).conflicts(['psk', 'ed25519']),
    )
    .addOption(
      new Option(
        '--x509',
        'of a PNE that registers with a certificate for the URI cpns:<operator>:<identity>, by an authority in certificates.anchors',
      ).conflicts(['psk', 'ed25519', 'x25519']),
    )
    .addOption(
      new Option(
        '--right <right...>',
        'deposit: may deposit messages for any user; provision: may make, show and remove users',
      )
        .choices(subscriberRights)
        .conflicts(['x25519', 'x509']),
    )
    .action(async (identity: string, options: Common & Given) => {
      const { operator, files, secrets } = await open(options)
      const credential = credentialOf(options)
      const rights = options.right ? { rights: options.right } : {}
      await addSubscriber(files, { identity, credential, ...rights })
      const secret = credential.kind === 'psk' && typeof options.psk !== 'string' ? { psk: text(credential.key) } : {}
      const isPinned = credential.kind === 'x25519' || credential.kind === 'x509'
      const pinned = isPinned ? await registrationKey(secrets) : {}
      console.log(JSON.stringify({ operator, identity, kind: credential.kind, ...rights, ...secret, ...pinned }))
    })

  const list = command('list', 'Lists the subscribers, the kinds of their credentials, and their rights.').action(
    async (options: Common) => {
      const { operator, files } = await open(options)
      const all = (await readAll(files)).map(shown).sort((a, b) => (a.identity < b.identity ? -1 : 1))
      if (options.json) console.log(JSON.stringify({ operator, subscribers: all }))
      else {
        const rows = all.map(({ identity, kind, rights = [] }) => [identity, kind, rights.join(', ')])
        console.log(formatTable(['identity', 'kind', 'rights'], rows, 'There is none: cpns subscriber add IDENTITY'))
      }
    },
  )

  const show = command('show <identity>', 'Shows a subscriber, without its secrets.').action(
    async (identity: string, options: Common) => {
      const { operator, files } = await open(options)
      const line = (await readSubscribers(files)).get(identity)
      if (line === undefined) throw new Refused(`There is no subscriber ${identity}; cpns subscriber list shows all.`)
      const of = shown(subscriberOfLine(line))
      if (options.json) console.log(JSON.stringify({ operator, ...of }))
      else for (const [name, value] of Object.entries({ operator, ...of })) console.log(`${name}: ${value}`)
    },
  )

  const remove = command('remove <identity>', 'Removes a subscriber: it cannot attach or register any more.').action(
    async (identity: string, options: Common) => {
      const { operator, files } = await open(options)
      await removeSubscriber(files, identity)
      console.log(options.json ? JSON.stringify({ operator, identity }) : `Removed ${identity} of ${operator}.`)
    },
  )

  const rekey = command(
    'rekey',
    'Encrypts the subscribers anew, under a new key. A server that runs goes on, unless it needs another passphrase now.',
  )
    .addOption(
      new Option(
        '--lock',
        'locks the new key by the passphrase in CPNS_NEW_PASSPHRASE, else CPNS_PASSPHRASE; else it is not locked',
      ),
    )
    .addOption(new Option('--accept-plain', 'takes a file that is not encrypted, though there is a key for it'))
    .action(async (options: Common & { lock?: true; acceptPlain?: true }) => {
      const { operator, files } = await open(options)
      await rekeySubscribers(files, {
        passphrase: options.lock ? newPassphrase() : undefined,
        acceptPlain: options.acceptPlain === true,
      })
      console.log(options.json ? JSON.stringify({ operator, key: files.key }) : `The key in ${files.key} is new.`)
    })

  const all = new Command('subscriber').description(
    'The subscribers of this operator. A running server takes up each change at once.',
  )
  for (const one of [add, list, show, remove, rekey]) all.addCommand(one)
  return all
}

const command = (usage: string, description: string): Command => {
  const [name = '', argument] = usage.split(' ')
  const made = new Command(name).description(description).addOption(configOption()).addOption(jsonOption())
  return argument === undefined ? made : made.argument(argument, 'unique at this operator')
}

interface Opened {
  readonly operator: string
  readonly files: SubscriberFiles
  /** Where the operator's secrets are. */
  readonly secrets: string
}

async function open({ config }: Common): Promise<Opened> {
  const { configuration, at } = await openNodeFolder(config)
  const { operator, keySource, keys, subscribers } = configuration
  if (keySource) {
    throw new Refused(`The subscribers of ${operator} are those of ${keySource.url}; add and remove them there.`)
  }
  const lockedBy = passphrase()
  const files = { store: at(subscribers), key: at(keys.subscribers) }
  const secrets = at(keys.secrets)
  return { operator, secrets, files: lockedBy === undefined ? files : { ...files, passphrase: lockedBy } }
}

const shown = (subscriber: Subscriber) => shownOf(recordOf(subscriber))

const readAll = async (files: SubscriberFiles): Promise<Subscriber[]> =>
  [...(await readSubscribers(files)).values()].map(subscriberOfLine)

interface Given {
  readonly psk?: string | true
  readonly ed25519?: string
  readonly x25519?: string
  readonly x509?: true
  readonly right?: readonly SubscriberRight[]
}

/** A PNE without a pre-shared key knows its operator by this key: it goes into the device beside its own. */
async function registrationKey(secrets: string) {
  const current = (await readOperatorSecrets(secrets)).registrationKeys.at(-1)
  return current ? { registrationKey: { epoch: current.epoch, publicKey: text(current.publicKey) } } : {}
}

function credentialOf({ psk, ed25519, x25519, x509 }: Given): Credential {
  if (ed25519 !== undefined) return { kind: 'ed25519', publicKey: publicKeyOf('--ed25519', ed25519) }
  if (x509) return { kind: 'x509' }
  if (x25519 !== undefined) return { kind: 'x25519', publicKey: publicKeyOf('--x25519', x25519) }
  if (typeof psk !== 'string') return { kind: 'psk', key: systemRandom().bytes(32) }
  const key = bytes(psk)
  if (key.length < 32)
    throw new Refused('--psk takes at least 32 bytes in base64url; leave it out to have one generated.')
  return { kind: 'psk', key }
}

/** A key that verifies nothing would be found out at the first log-in only. */
function publicKeyOf(option: string, given: string): Uint8Array {
  const publicKey = bytes(given)
  if (publicKey.length === 32) return publicKey
  throw new Refused(`${option} takes the 32 bytes of a public key in base64url.`)
}
