import { CommandRefused, type Status, statuses } from '../federation/command.ts'
import type { CommandAnswer } from '../federation/federation.ts'

type Refused = Extract<CommandAnswer, { readonly ok: false }>

/** Nobody of the executing operator has said whether it will be done: it may be sent again. */
export const isUnanswered = ({ status }: Refused): boolean => status === 423 || status === 504

/** Another operator's refusal, as far as it is one of ours: it chose the words. */
export function refusedBy({ status, cause, message, retryAfterMs }: Refused): CommandRefused {
  return new CommandRefused(statusOf(status), message.slice(0, maxMessage), cause.slice(0, maxCause), retryAfterMs)
}
const maxMessage = 500
const maxCause = 64

const statusOf = (status: number): Status => (isStatus(status) && status >= 300 ? status : 500)
const isStatus = (status: number): status is Status => status in statuses
