import type { z } from 'zod'
import { toBase64url } from '../../commands/framing.ts'
import type { Documents, Registers } from '../../document/documents.ts'
import type { ClientConnection, Command, Principal } from '../../federation/command.ts'
import type { OperatorId } from '../../ports/names.ts'
import type { Admit, Admitted } from '../create-storage.ts'
import type { Procedure } from '../dispatch.ts'
import {
  type DeviceShape,
  deviceAttach,
  deviceChange,
  deviceList,
  deviceRegister,
  deviceRemove,
  deviceSubscribePush,
  deviceVapidKey,
} from '../methods/devices.ts'
import { type MailboxName, mailboxDocument } from '../names.ts'
import { type Vector, vectorOf, written } from '../records.ts'
import { refusals } from '../refusals.ts'
import type { Writers } from '../writers.ts'
import { type DevicePolicy, inForce, type Wishes } from './preferences.ts'
import {
  type Device,
  type DeviceRecord,
  deviceIn,
  deviceKeys,
  devicesDocument,
  devicesIn,
  isOf,
  pushIn,
} from './records.ts'
import type { Subscriptions } from './subscriptions.ts'

/*
 * The methods of devices. A device is its subscriber's: another one that may change the mailbox can change and remove it, but
 * not say where it is reached, nor attach as it.
 */

export interface DeviceOptions {
  readonly self: OperatorId
  readonly documents: Pick<Documents, 'read' | 'index'>
  readonly writers: Writers
  readonly admit: Admit
  readonly policy: DevicePolicy
  /** Absent where this operator sends no Web Push. */
  readonly subscriptions: Subscriptions | undefined
  /** A device is attached from now on; all up to `seen` it has or will ask for. */
  readonly attached: (name: MailboxName, device: string, connection: ClientConnection, seen: Vector) => void
}

export function deviceProcedures(offer: <P, R>(procedure: Procedure<P, R>) => void, options: DeviceOptions): void {
  const { self, documents, writers, admit, policy, subscriptions } = options
  const nameOf = ({ operator, user }: MailboxName): MailboxName => ({ operator, user })

  /** Writes what a device wants, decided on what is there when it is written. */
  async function write(
    params: MailboxName & { readonly device: string; readonly time?: number | undefined },
    what: string,
    decide: (mailbox: Registers) => DeviceRecord | null,
  ): Promise<void> {
    await writers.change(nameOf(params), what, async edit =>
      edit.say(written(deviceKeys.device(params.device), decide(edit.mailbox), params.time)),
    )
  }

  async function shown(name: MailboxName, device: string): Promise<DeviceShape> {
    const mailbox = await documents.read(mailboxDocument(name))
    return shapeOf(required(mailbox, device), policy, await pushesOf(name, self, documents))
  }

  offer({
    spec: deviceRegister,
    kind: 'change',
    async execute(params, principal) {
      const { operator, user, device, name: title, commandId: _, time: __, ...wishes } = params
      const name = { operator, user }
      await admit('read', name, principal)
      await write(params, 'device.register', mailbox => {
        const found = deviceIn(mailbox, device)
        if (found && !isOf(found, principal)) throw refusals.deviceTaken(device)
        if (!found && [...devicesIn(mailbox)].length >= policy.maxPerUser)
          throw refusals.tooManyDevices(policy.maxPerUser)
        const { operator, identity } = principal
        return { name: title, subscriber: { operator, identity }, wishes }
      })
      return shown(name, device)
    },
  })

  offer({
    spec: deviceChange,
    kind: 'change',
    async execute(params, principal) {
      const { operator, user, device, name: title, commandId: _, time: __, ...changed } = params
      const name = { operator, user }
      const admitted = await admit('read', name, principal)
      await write(params, 'device.change', mailbox => {
        const { name, subscriber, wishes } = changeable(mailbox, device, principal, admitted)
        return { name: title ?? name, subscriber, wishes: { ...wishes, ...saidIn(changed) } }
      })
      return shown(name, device)
    },
  })

  offer({
    spec: deviceList,
    kind: 'read',
    async execute(params, principal) {
      const name = nameOf(params)
      const { mailbox, reach } = await admit('read', name, principal)
      const pushes = await pushesOf(name, self, documents)
      const devices = [...devicesIn(mailbox)].filter(device => reach.rights.has('write') || isOf(device, principal))
      return { devices: devices.map(device => shapeOf(device, policy, pushes)) }
    },
  })

  offer({
    spec: deviceRemove,
    kind: 'change',
    async execute(params, principal) {
      const { device } = params
      const name = nameOf(params)
      const admitted = await admit('read', name, principal)
      changeable(admitted.mailbox, device, principal, admitted)
      // The secret goes first: what is left after a fault can be removed again.
      await subscriptions?.drop(name, device)
      await write(params, 'device.remove', () => null)
      return { device }
    },
  })

  offer({
    spec: deviceVapidKey,
    kind: 'change',
    async execute(params, principal) {
      await admit('read', nameOf(params), principal)
      if (!subscriptions) throw refusals.noPush()
      return { key: toBase64url(subscriptions.senderKey()) }
    },
  })

  offer({
    spec: deviceSubscribePush,
    kind: 'change',
    async execute(params, principal) {
      const { device, subscription } = params
      const name = nameOf(params)
      const { mailbox } = await admit('read', name, principal)
      own(mailbox, device, principal)
      if (!subscription) await subscriptions?.drop(name, device)
      else if (!subscriptions) throw refusals.noPush()
      else await subscriptions.keep(name, device, subscription, vectorOf(mailbox))
      return shown(name, device)
    },
  })
}

/** `device.attach`: at whichever server that holds the mailbox, on the connection that it is said on. */
export function attaching({
  self,
  documents,
  admit,
  policy,
  attached,
}: Omit<DeviceOptions, 'writers' | 'subscriptions'>): Command<z.infer<typeof deviceAttach.params>, DeviceShape> {
  return {
    spec: deviceAttach,
    async execute({ operator, user, device }, principal, _, { connection } = {}) {
      const name = { operator, user }
      if (operator !== self && !(await documents.index(mailboxDocument(name)))) throw refusals.elsewhere(operator)
      const { mailbox } = await admit('read', name, principal)
      const found = own(mailbox, device, principal)
      if (!connection) throw refusals.notConnected()
      attached(name, device, connection, vectorOf(mailbox))
      return shapeOf(found, policy, await pushesOf(name, self, documents))
    },
  }
}

/** @throws {CommandRefused} DEVICE_UNKNOWN */
function required(mailbox: Registers, device: string): Device {
  const found = deviceIn(mailbox, device)
  if (!found) throw refusals.deviceUnknown(device)
  return found
}

/** Who may not know of a device hears that there is none. @throws {CommandRefused} DEVICE_UNKNOWN */
function changeable(mailbox: Registers, device: string, principal: Principal, { reach }: Admitted): Device {
  const found = required(mailbox, device)
  if (!isOf(found, principal) && !reach.rights.has('write')) throw refusals.deviceUnknown(device)
  return found
}

/** @throws {CommandRefused} DEVICE_UNKNOWN */
function own(mailbox: Registers, device: string, principal: Principal): Device {
  const found = required(mailbox, device)
  if (!isOf(found, principal)) throw refusals.deviceUnknown(device)
  return found
}

/** Which devices are reached by Web Push; `undefined` at servers that have no way to know. */
async function pushesOf(
  name: MailboxName,
  self: OperatorId,
  documents: Pick<Documents, 'read'>,
): Promise<((device: string) => boolean) | undefined> {
  if (name.operator !== self) return undefined
  const devices = await documents.read(devicesDocument(name))
  return device => pushIn(devices, device) !== undefined
}

const shapeOf = (
  { device, name, subscriber, wishes }: Device,
  policy: DevicePolicy,
  pushes: ((device: string) => boolean) | undefined,
): DeviceShape => ({
  ...{ device, name, subscriber, wishes },
  inForce: inForce(wishes, policy),
  ...(pushes && { pushes: pushes(device) }),
})

/** Without what is left open. */
const saidIn = (wishes: Wishes): Wishes =>
  Object.fromEntries(Object.entries(wishes).filter(([, value]) => value !== undefined))
