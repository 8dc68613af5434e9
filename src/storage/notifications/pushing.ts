import { framed, toBase64url, utf8 } from '../../commands/framing.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { Push, PushOutcome } from '../../ports/push.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import type { Reachable } from '../devices/subscriptions.ts'
import { mailboxChanged } from '../methods/sync.ts'
import type { MailboxName } from '../names.ts'

/*
 * What is sent by Web Push: that a mailbox has changed, and nothing of what. All messages of a server go through a number of
 * lanes, so that a change that concerns many devices takes neither all sockets nor all time-outs at once.
 */

/** Sends one notification when a lane is free. */
export type SendPush = (name: MailboxName, to: Reachable) => Promise<PushOutcome>

const lanes = 32
/** A device that was away for longer synchronises anyway. */
const ttlMs = 86_400_000
/** So long that no name of a user shows in the length. */
const payloadChars = 512
const topicChars = 32

export function pushing({
  push,
  crypto,
  telemetry,
}: {
  readonly push: Push
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly telemetry: Telemetry
}): SendPush {
  const waiting: (() => void)[] = []
  let free = lanes

  async function entered(): Promise<void> {
    if (free > 0) free -= 1
    else await new Promise<void>(resolve => waiting.push(resolve))
  }
  function left(): void {
    const next = waiting.shift()
    if (next) next()
    else free += 1
  }

  return async (name, { subscription, senderSecret }) => {
    await entered()
    try {
      const { operator, user } = name
      const outcome = await push.send({
        subscription,
        senderSecret,
        payload: utf8(
          JSON.stringify({ method: mailboxChanged.method, params: { operator, user } }).padEnd(payloadChars),
        ),
        ttlMs,
        urgency: 'normal',
        // A push service keeps one for each mailbox, and does not learn which.
        topic: toBase64url(crypto.sha256(subscription.auth, framed(operator, user))).slice(0, topicChars),
      })
      telemetry.count('cpns_storage_pushes_total', { outcome: outcome.kind, reason: reasonOf(outcome) })
      return outcome
    } finally {
      left()
    }
  }
}

const reasonOf = (outcome: PushOutcome): string => ('reason' in outcome ? outcome.reason : 'none')
