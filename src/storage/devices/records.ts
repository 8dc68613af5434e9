import { z } from 'zod'
import { operator } from '../../commands/fields.ts'
import type { Registers } from '../../document/documents.ts'
import { documentId } from '../../document/names.ts'
import type { Principal } from '../../federation/command.ts'
import type { DocumentId } from '../../ports/names.ts'
import { deviceId } from '../fields.ts'
import type { MailboxName } from '../names.ts'
import type { Vector } from '../records.ts'
import { wishes } from './preferences.ts'

/*
 * What is written of a user's devices. In the mailbox document, so that it is in force wherever the mailbox is: which there are,
 * whose, and what they want. In a document of their own, which only servers of the home operator hold: where each is
 * reached by Web Push, sealed, and what it was told of last.
 */

/** The document that holds what other operators must not have of a user's devices. */
export const devicesDocument = ({ operator, user }: MailboxName): DocumentId =>
  documentId({ kind: 'devices', owner: operator, user })

export const deviceKeys = {
  /** In the mailbox document. */
  device: (device: string) => `device/${device}`,
  /** In the devices document. */
  push: (device: string) => `push/${device}`,
  told: (device: string) => `told/${device}`,
} as const

/** `device/<id>`. The subscriber that registered it is whom it is told on behalf of. */
const deviceRecord = z.object({
  name: z.string().max(128),
  subscriber: z.object({ operator, identity: z.string().min(1).max(128) }),
  wishes: wishes.strip(),
})
export type DeviceRecord = z.infer<typeof deviceRecord>

/** `push/<id>`: `version` of the operator's key that it is sealed under, and that its sender's key is of. */
const pushRecord = z.object({ version: z.int().min(0), sealed: z.string().max(8_192) })
export type PushRecord = z.infer<typeof pushRecord>

/** `told/<id>`: of all up to here the device needs to be told no more. */
const toldRecord = z.record(z.string().max(16), z.int().min(0))

export interface Device extends DeviceRecord {
  readonly device: string
}

/** A device by its register; `undefined` if it is none, or not understood. */
export function deviceIn(mailbox: Registers, device: string): Device | undefined {
  const record = parsed(deviceRecord, mailbox.get(deviceKeys.device(device))?.value)
  return record && { device, ...record }
}

export function* devicesIn(mailbox: Registers): Generator<Device> {
  for (const [key, { value }] of mailbox.entries('device/')) {
    const device = deviceId.safeParse(key.slice('device/'.length))
    const record = parsed(deviceRecord, value)
    if (device.success && record) yield { device: device.data, ...record }
  }
}

export const isOf = (device: Device, { operator, identity }: Principal): boolean =>
  device.subscriber.operator === operator && device.subscriber.identity === identity

export const pushIn = (devices: Registers, device: string): PushRecord | undefined =>
  parsed(pushRecord, devices.get(deviceKeys.push(device))?.value)

export function* pushesIn(devices: Registers): Generator<readonly [device: string, record: PushRecord]> {
  for (const [key, { value }] of devices.entries('push/')) {
    const record = parsed(pushRecord, value)
    if (record) yield [key.slice('push/'.length), record]
  }
}

export function toldIn(devices: Registers, device: string): Vector | undefined {
  const record = parsed(toldRecord, devices.get(deviceKeys.told(device))?.value)
  return record && new Map(Object.entries(record))
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T | undefined {
  if (value === null || value === undefined) return undefined
  const result = schema.safeParse(value)
  return result.success ? result.data : undefined
}
