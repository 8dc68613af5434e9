import { toBase64url } from '../../commands/framing.ts'
import type { ClientCrypto } from '../../ports/crypto.ts'
import { type DeviceShape, deviceAttach, deviceChange, deviceRegister } from '../../storage/methods/devices.ts'
import type { MailboxName } from '../../storage/names.ts'
import { RequestRefused } from '../errors.ts'
import type { Session } from '../session.ts'
import type { Tell } from './events.ts'
import type { Replica } from './replica.ts'

/*
 * Has the connection known as the device's, so that `mailbox.changed` comes on it; registers the device where it is not known,
 * with the scope of its replica. Where that cannot be, the device is in step all the same, by its own timer.
 */

export interface Attaching {
  /** Once for each connection. @throws what is no refusal: the connection is lost */
  attach(session: Session, commands: Pick<Session, 'call'>, mailbox: MailboxName): Promise<void>
  /** There is another connection, or none; or what is in force for the device is to be asked again. */
  forget(): void
}

export function createAttaching(options: {
  readonly crypto: Pick<ClientCrypto, 'randomBytes'>
  readonly replica: Replica
  readonly device: string
  readonly deviceName: string
  readonly tell: Tell
  /** A server has said what is in force for the device. */
  readonly learned: (inForce: DeviceShape['inForce']) => Promise<void>
}): Attaching {
  const { crypto, replica, device, deviceName, tell, learned } = options
  let isAttached = false
  const newId = () => toBase64url(crypto.randomBytes(16))

  async function known(session: Session, commands: Pick<Session, 'call'>, mailbox: MailboxName) {
    const params = { ...mailbox, device }
    try {
      return await session.call(deviceAttach, params)
    } catch (error) {
      if (!(error instanceof RequestRefused) || error.status !== 404) throw error
      const { scope } = replica.state
      await commands.call(deviceRegister, { commandId: newId(), ...params, name: deviceName, scope })
      return session.call(deviceAttach, params)
    }
  }

  return {
    async attach(session, commands, mailbox) {
      if (isAttached) return
      // Refused once, it would be refused again on this connection.
      isAttached = true
      try {
        const { wishes, inForce } = await known(session, commands, mailbox)
        await learned(inForce)
        const { scope } = replica.state
        if (JSON.stringify(wishes.scope ?? {}) !== JSON.stringify(scope))
          await commands.call(deviceChange, { commandId: newId(), ...mailbox, device, scope })
      } catch (error) {
        if (!(error instanceof RequestRefused)) {
          isAttached = false
          throw error
        }
        tell({ kind: 'notifications.refused', error })
      }
    },
    forget() {
      isAttached = false
    },
  }
}
