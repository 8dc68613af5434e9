import type { DocumentNotice, Documents } from '../../document/documents.ts'
import { ownerOf } from '../../document/names.ts'
import type { ClientConnection } from '../../federation/command.ts'
import type { Federation } from '../../federation/federation.ts'
import type { Cancel, Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { Push } from '../../ports/push.ts'
import type { Random } from '../../ports/random.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import type { DevicePolicy } from '../devices/preferences.ts'
import { devicesDocument, pushesIn, toldIn } from '../devices/records.ts'
import type { Subscriptions } from '../devices/subscriptions.ts'
import { type MailboxName, mailboxDocument, mailboxOf } from '../names.ts'
import type { Vector } from '../records.ts'
import { attachedHandler, attachedMethod, isAttachedElsewhere } from './elsewhere.ts'
import { MailboxNotifier } from './mailbox-notifier.ts'
import { defaultPace, defaultRetry, type PaceLimits, type RetryLimits } from './pace.ts'
import { pushing } from './pushing.ts'

/*
 * Who is told that a mailbox has changed. A server tells the devices that are attached to it, whoever has changed something; by Web
 * Push it tells of what it has changed itself, and only who is attached to no server of the operator. What is told says where to
 * look, never what is there. Nothing waits on disk to be told: who was told last of what stands in the devices document, and
 * from that and the mailbox a server that has begun again finds who is still to be told.
 */

export interface Notifier {
  join(federation: Federation): void
  /** Goes on with what was not told when the server ended. */
  start(): void
  /** Ends it all, and writes down who was told of what. */
  stop(): Promise<void>
  /** A connection is a device's from now on; all up to `seen` it has, or will ask for. */
  attached(name: MailboxName, device: string, connection: ClientConnection, seen: Vector): void
  /** A device has synchronised up to here. */
  synced(name: MailboxName, device: string, seen: Vector): void
}

export interface NotifierOptions {
  readonly self: OperatorId
  readonly server: ServerId
  readonly documents: Pick<Documents, 'read' | 'list' | 'subscribe'>
  readonly federation: () => Federation
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly telemetry: Telemetry
  readonly policy: DevicePolicy
  readonly push: { readonly port: Push; readonly subscriptions: Subscriptions } | undefined
  readonly pace?: PaceLimits
  readonly retry?: Partial<RetryLimits>
}

export function createNotifier(options: NotifierOptions): Notifier {
  const { self, server, documents, federation, clock, random, crypto, telemetry, policy } = options
  const mailboxes = new Map<string, MailboxNotifier>()
  let unsubscribe: Cancel = () => {}
  let isStopped = false
  const push = options.push && {
    subscriptions: options.push.subscriptions,
    send: pushing({ push: options.push.port, crypto, telemetry }),
  }

  const find = (name: MailboxName) => mailboxes.get(mailboxDocument(name))

  function open(name: MailboxName): MailboxNotifier {
    const key = mailboxDocument(name)
    const found = mailboxes.get(key)
    if (found) return found
    const made = new MailboxNotifier(name, {
      ...{ documents, clock, random, telemetry, policy },
      pace: options.pace ?? defaultPace,
      retry: { ...defaultRetry, ...options.retry },
      push: name.operator === self ? push : undefined,
      isAttachedElsewhere: (name, device) => isAttachedElsewhere(name, device, federation(), clock),
      idle: () => void mailboxes.delete(key),
    })
    mailboxes.set(key, made)
    return made
  }

  function heard({ document, source, index }: DocumentNotice): void {
    const isMailbox = document.startsWith('mailbox/')
    if (!index || !(isMailbox || document.startsWith('conversation/'))) return
    const isOwn = source === 'own'
    // What a server writes in a conversation, it names in the mailbox then.
    if (isOwn && !isMailbox) return
    const mayPush = isOwn && push !== undefined && ownerOf(document) === self
    const name = mailboxOf(document)
    if (!name || !(mayPush || find(name))) return
    open(name).changed(isOwn)
  }

  /** One mailbox after the other, so that a server that begins does other things too. */
  async function resume(): Promise<void> {
    if (!push) return
    for await (const { document } of documents.list(`devices/${self}/`)) {
      const name = mailboxOf(document)
      if (isStopped) return
      if (name && (await isOwing(name))) open(name).changed(true)
    }
  }

  /** Whether this server has, in any of its lives, changed a mailbox since somebody was told. */
  async function isOwing(name: MailboxName): Promise<boolean> {
    const devices = await documents.read(devicesDocument(name))
    const told = [...pushesIn(devices)].map(([device]) => toldIn(devices, device) ?? new Map<string, number>())
    if (told.length === 0) return false
    const mailbox = await documents.read(mailboxDocument(name))
    for (const [key, { server: writer, value }] of mailbox.entries('run/')) {
      const run = key.slice('run/'.length)
      if (writer === server && typeof value === 'number' && told.some(vector => value > (vector.get(run) ?? 0)))
        return true
    }
    return false
  }

  return {
    join(found) {
      found.handle(
        attachedMethod,
        attachedHandler(self, (name, device) => find(name)?.isAttached(device) === true),
      )
    },

    start() {
      unsubscribe = documents.subscribe(heard)
      resume().catch(error => {
        const message = error instanceof Error ? error.message : String(error)
        telemetry.log('warn', 'storage.notifying-not-resumed', { message })
      })
    },

    async stop() {
      isStopped = true
      unsubscribe()
      await Promise.all([...mailboxes.values()].map(mailbox => mailbox.stop()))
      mailboxes.clear()
    },

    attached: (name, device, connection, seen) => open(name).attach(device, connection, seen),
    synced: (name, device, seen) => find(name)?.synced(device, seen),
  }
}
