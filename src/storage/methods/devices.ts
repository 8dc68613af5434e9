import { z } from 'zod'
import { command, operator, spec } from '../../commands/fields.ts'
import { preferences, wishes } from '../devices/preferences.ts'
import { deviceId, mailbox } from '../fields.ts'

/*
 * The devices of a user: what each wants to be kept in step with, and how it is told that there is something new.
 */

const a = { operator: 'a.example', user: 'u-4711' }
const phone = { ...a, device: 'phone' }

const deviceName = z
  .string()
  .min(1)
  .max(128)
  .refine(text => text.isWellFormed(), { error: 'expected whole characters' })

/** A device as it is shown. */
export const deviceShape = z.strictObject({
  device: deviceId,
  name: deviceName,
  /** Who registered it, and is told on it. */
  subscriber: z.strictObject({ operator, identity: z.string() }),
  wishes,
  /** What of its wishes the operator's policy leaves, with what it did not say as it usually is. */
  inForce: preferences,
  /** Whether it is reached by Web Push; said by servers of the home operator. */
  pushes: z.boolean().optional(),
})
export type DeviceShape = z.infer<typeof deviceShape>

const wished = { name: deviceName, ...wishes.shape }
const examplePreferences = {
  scope: { types: ['message' as const] },
  content: 'list' as const,
  periodMs: 900_000,
  maxMediaBytes: 10_485_760,
  onMetered: 'list' as const,
  notify: 'push' as const,
  quietMs: 0,
}
const exampleShape = {
  device: 'phone',
  name: 'Alice’s phone',
  subscriber: { operator: 'a.example', identity: 'alice' },
  wishes: { scope: { types: ['message'] }, content: 'list', notify: 'push' },
  inForce: examplePreferences,
  pushes: false,
}

export const deviceRegister = spec({
  method: 'device.register',
  summary: 'Registers a device of the caller, with what it wants; again: with all that it wants from now on.',
  params: z.strictObject({ ...command, ...mailbox, device: deviceId, ...wished }),
  result: deviceShape,
  refusals: [403, 404, 409],
  example: {
    params: {
      commandId: 'device-phone-0001',
      ...phone,
      name: 'Alice’s phone',
      scope: { types: ['message'] },
      content: 'list',
      notify: 'push',
    },
    result: exampleShape,
  },
})

export const deviceChange = spec({
  method: 'device.change',
  summary: 'Changes some of what a device wants. It is in force wherever the mailbox is.',
  params: z.strictObject({ ...command, ...mailbox, device: deviceId, ...wished }).partial({ name: true }),
  result: deviceShape,
  refusals: [403, 404],
  example: {
    params: { commandId: 'device-phone-0002', ...phone, quietMs: 60_000 },
    result: {
      ...exampleShape,
      wishes: { ...exampleShape.wishes, quietMs: 60_000 },
      inForce: { ...examplePreferences, quietMs: 60_000 },
    },
  },
})

export const deviceList = spec({
  method: 'device.list',
  summary: 'The devices of a user: those of the caller, or all, if it may change the mailbox.',
  params: z.strictObject({ ...mailbox }),
  result: z.strictObject({ devices: z.array(deviceShape) }),
  refusals: [403, 404],
  example: { params: a, result: { devices: [exampleShape] } },
})

export const deviceRemove = spec({
  method: 'device.remove',
  summary: 'Forgets a device, with where it is reached.',
  params: z.strictObject({ ...command, ...mailbox, device: deviceId }),
  result: z.strictObject({ device: deviceId }),
  refusals: [403, 404],
  example: { params: { commandId: 'device-phone-0003', ...phone }, result: { device: 'phone' } },
})

export const deviceAttach = spec({
  method: 'device.attach',
  summary:
    'This connection is the device’s: from now on mailbox.changed comes on it. Sync afterwards: what changed before is not told.',
  params: z.strictObject({ ...mailbox, device: deviceId }),
  result: deviceShape,
  refusals: [403, 404, 409],
  example: { params: phone, result: exampleShape },
})

const base64url = (lengthBytes: number) =>
  z.base64url().length(Math.ceil((lengthBytes * 4) / 3), { error: `expected ${lengthBytes} bytes in base64url` })

export const deviceVapidKey = spec({
  method: 'device.vapidKey',
  summary: 'What a device subscribes to its push service with: the operator’s public key (RFC 8292).',
  params: z.strictObject({ ...command, ...mailbox }),
  result: z.strictObject({ key: base64url(65) }),
  refusals: [403, 404, 409],
  example: {
    params: { commandId: 'device-phone-0005', ...a },
    result: { key: 'BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-P0A' },
  },
})

export const deviceSubscribePush = spec({
  method: 'device.subscribePush',
  summary: 'Says where the push service of one’s own device takes notifications; nothing: that it takes none any more.',
  params: z.strictObject({
    ...command,
    ...mailbox,
    device: deviceId,
    subscription: z
      .strictObject({
        endpoint: z.string().min(1).max(2_048),
        p256dh: base64url(65),
        auth: base64url(16),
        /** The key that the device has subscribed with. */
        applicationServerKey: base64url(65),
      })
      .optional(),
  }),
  result: deviceShape,
  refusals: [403, 404, 409],
  example: {
    params: {
      commandId: 'device-phone-0004',
      ...phone,
      subscription: {
        endpoint: 'https://push.example/send/3Zk1',
        p256dh: 'BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU',
        auth: 'AAECAwQFBgcICQoLDA0ODw',
        applicationServerKey: 'BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-P0A',
      },
    },
    result: { ...exampleShape, pushes: true },
  },
})

export const deviceMethods = [
  deviceRegister,
  deviceChange,
  deviceList,
  deviceRemove,
  deviceAttach,
  deviceVapidKey,
  deviceSubscribePush,
] as const
