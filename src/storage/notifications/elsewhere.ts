import { z } from 'zod'
import { segment } from '../../commands/fields.ts'
import { commandRefusals as refusals } from '../../commands/refusals.ts'
import type { CommandHandler, Federation } from '../../federation/federation.ts'
import type { Clock } from '../../ports/clock.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import { deviceId } from '../fields.ts'
import type { MailboxName } from '../names.ts'

/*
 * Whether a device is attached at another server of the operator: that one tells it, as soon as it has received what changed. The
 * others are asked; who does not answer in time has nobody. A notification too many does no harm.
 */

/** No method of clients. */
export const attachedMethod = 'server.deviceAttached'

const question = z.strictObject({ user: segment, device: deviceId })
const answer = z.strictObject({ attached: z.boolean() })

/** Less than a push service takes. */
const askMs = 500

export async function isAttachedElsewhere(
  { operator, user }: MailboxName,
  device: string,
  federation: Pick<Federation, 'linked' | 'requestAt'>,
  clock: Pick<Clock, 'after'>,
): Promise<boolean> {
  const ask = async (server: ServerId): Promise<boolean> => {
    const said = await federation.requestAt(server, { method: attachedMethod, params: { user, device } })
    const parsed = said.ok ? answer.safeParse(said.value) : undefined
    return parsed?.data?.attached === true
  }
  const servers = federation.linked(operator)
  if (servers.length === 0) return false
  return new Promise(resolve => {
    const cancel = clock.after(askMs, () => resolve(false))
    const settle = (isAttached: boolean) => {
      cancel()
      resolve(isAttached)
    }
    const answers = servers.map(server =>
      ask(server).then(
        isAttached => isAttached && settle(true),
        () => false,
      ),
    )
    void Promise.all(answers).then(() => settle(false))
  })
}

/** Answers the other servers of this operator, and nobody else. */
export const attachedHandler =
  (self: OperatorId, isAttached: (name: MailboxName, device: string) => boolean): CommandHandler =>
  async ({ params }, from) => {
    const parsed = question.safeParse(params)
    if (from.operator !== self) throw refusals.notAuthorised('Only servers of the same operator ask for devices.')
    if (!parsed.success) throw refusals.malformed(`${attachedMethod} takes a user and a device.`)
    const { user, device } = parsed.data
    return { ok: true, value: { attached: isAttached({ operator: self, user }, device) } }
  }
