import { z } from 'zod'
import { framed, fromBase64url, utf8 } from '../../commands/framing.ts'
import { createOperatorSeal, sealNonceBytes } from '../../commands/operator-seal.ts'
import type { Documents, Registers } from '../../document/documents.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { OperatorSecrets } from '../../ports/identity.ts'
import { type Push, type PushSubscription, senderSecretBytes } from '../../ports/push.ts'
import type { Random } from '../../ports/random.ts'
import type { MailboxName } from '../names.ts'
import { type Vector, written } from '../records.ts'
import { refusals } from '../refusals.ts'
import { deviceKeys, devicesDocument, pushIn, toldIn } from './records.ts'

/*
 * Where devices are reached by Web Push. An endpoint is a secret of its device, so it is sealed to the operator: documents, disks
 * and logs have nothing of it.
 *
 * The sender's key (RFC 8292) is derived from the operator's MAC key: all servers of the operator have it, there is nothing more
 * to keep, and it changes when that does. A subscription holds to the key it was made for as long as the operator has it.
 */

/** What it takes to send to a device. */
export interface Reachable {
  readonly subscription: PushSubscription
  readonly senderSecret: Uint8Array
}

export interface Subscriptions {
  /** The public key to subscribe with now. */
  senderKey(): Uint8Array
  /**
   * Keeps where a device is reached; of what the mailbox says up to `seen` it need not be told.
   * @throws {CommandRefused} 400 for an endpoint that nothing would be sent to; 409 for a key that is not the operator's
   */
  keep(
    name: MailboxName,
    device: string,
    said: { endpoint: string; p256dh: string; auth: string; applicationServerKey: string },
    seen: Vector,
  ): Promise<void>
  /** Forgets where a device is reached; only if that is still this endpoint, if one is given. */
  drop(name: MailboxName, device: string, endpoint?: string): Promise<void>
  /** Where a device is reached, if it is, and what it was told of last. */
  find(name: MailboxName, device: string): Promise<{ readonly at: Reachable; readonly told: Vector } | undefined>
  /** Remembers what devices need not be told of any more. */
  told(name: MailboxName, devices: ReadonlyMap<string, Vector>): Promise<void>
}

const label = 'cpns web push subscription v1'
const senderLabel = 'cpns web push sender v1'

const sealed = z.object({ endpoint: z.string(), p256dh: z.string(), auth: z.string() })

export function createSubscriptions(options: {
  readonly documents: Pick<Documents, 'read' | 'write'>
  readonly push: Push
  readonly macKeys: OperatorSecrets['macKeys']
  readonly crypto: Pick<Crypto, 'hkdfSha256' | 'aesGcm' | 'equal'>
  readonly random: Pick<Random, 'bytes'>
}): Subscriptions {
  const { documents, push, macKeys, crypto, random } = options
  const seal = createOperatorSeal({ macKeys, crypto, purpose: label })
  const senders = new Map(
    macKeys.map(({ version, key }) => {
      const secret = crypto.hkdfSha256(key, new Uint8Array(0), utf8(senderLabel), senderSecretBytes)
      return [version, { secret, publicKey: push.senderKey(secret) }] as const
    }),
  )
  const current = macKeys.at(-1)?.version ?? 0
  const boundTo = ({ operator, user }: MailboxName, device: string) => framed(operator, user, device)

  function opened(name: MailboxName, device: string, devices: Registers): Reachable | undefined {
    const record = pushIn(devices, device)
    const sender = record && senders.get(record.version)
    const plain = record && seal.open(record.sealed, boundTo(name, device))
    if (!sender || !plain) return undefined
    const { endpoint, p256dh, auth } = sealed.parse(JSON.parse(new TextDecoder().decode(plain)))
    const keys = { p256dh: fromBase64url(p256dh), auth: fromBase64url(auth) }
    if (!keys.p256dh || !keys.auth) return undefined
    return { subscription: { endpoint, p256dh: keys.p256dh, auth: keys.auth }, senderSecret: sender.secret }
  }

  return {
    senderKey() {
      const sender = senders.get(current)
      if (!sender) throw new Error('An operator has at least one MAC key.')
      return sender.publicKey
    },

    async keep(name, device, { applicationServerKey, ...said }, seen) {
      const objection = push.objection(said.endpoint)
      if (objection !== undefined) throw refusals.endpoint(objection)
      const key = fromBase64url(applicationServerKey)
      const version = [...senders].find(([, { publicKey }]) => key && crypto.equal(publicKey, key))?.[0]
      if (version === undefined) throw refusals.otherSenderKey()
      const nonce = random.bytes(sealNonceBytes)
      const record = { version, sealed: seal.seal(version, nonce, utf8(JSON.stringify(said)), boundTo(name, device)) }
      await documents.write(devicesDocument(name), () => ({
        writes: [written(deviceKeys.push(device), record), toldWrite(device, seen)],
        answer: undefined,
      }))
    },

    async drop(name, device, endpoint) {
      await documents.write(devicesDocument(name), devices => {
        const isThere = pushIn(devices, device) !== undefined
        const found = opened(name, device, devices)
        const isMeant = endpoint === undefined || found?.subscription.endpoint === endpoint
        const gone = [deviceKeys.push(device), deviceKeys.told(device)]
        return { writes: isThere && isMeant ? gone.map(key => written(key, null)) : [], answer: undefined }
      })
    },

    async find(name, device) {
      const devices = await documents.read(devicesDocument(name))
      const at = opened(name, device, devices)
      return at && { at, told: toldIn(devices, device) ?? new Map() }
    },

    async told(name, vectors) {
      await documents.write(devicesDocument(name), devices => ({
        writes: [...vectors]
          .filter(([device]) => pushIn(devices, device) !== undefined)
          .map(([device, vector]) => toldWrite(device, vector)),
        answer: undefined,
      }))
    },
  }
}

const toldWrite = (device: string, vector: Vector) => written(deviceKeys.told(device), Object.fromEntries(vector))
