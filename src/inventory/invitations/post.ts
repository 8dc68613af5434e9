import { z } from 'zod'
import { framed, toBase64url, utf8 } from '../../commands/framing.ts'
import { asJson } from '../../commands/plain.ts'
import type { CommandAnswer, Federation } from '../../federation/federation.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { LocalRecord, LogStore } from '../../ports/log-store.ts'
import type { OperatorId } from '../../ports/names.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import type { Inbox } from './inbox.ts'
import { deliverMethod, type Letter, letter } from './letter.ts'

/*
 * Brings letters to the operators of those they are for. One that cannot be reached, or has no time, gets its letter when
 * there is a link to it again, or an hour later, until the invitation has expired: it lies in this server's local records
 * until then, put there in the same batch as the invitation that it carries.
 */

export interface Post {
  /** Whether it was taken; refused for good, the refusal of the operator. Never throws for what happens on the way. */
  send(to: OperatorId, letter: Letter): Promise<'taken' | 'later' | (CommandAnswer & { readonly ok: false })>
  /** A local record by which the letter is sent later. */
  later(to: OperatorId, letter: Letter): LocalRecord
  /** There is a link to a server of this operator. */
  linked(operator: OperatorId): void
  /** Sends again all that waits, and forgets what has expired. Never throws. */
  sweep(): Promise<void>
}

export interface PostOptions {
  readonly self: OperatorId
  readonly inbox: Inbox
  readonly federation: () => Federation
  /** Whether the invitation is open still: what was withdrawn or answered meanwhile is not sent. */
  readonly isOpen: (letter: Letter) => Promise<boolean>
  readonly store: Pick<LogStore, 'localScan' | 'commit'>
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly clock: Pick<Clock, 'now'>
  readonly telemetry: Telemetry
}

const prefix = 'invitation-letter/'
const waiting = z.object({ to: z.custom<OperatorId>(value => typeof value === 'string'), letter })

/** Statuses that say nothing about the letter: whoever was asked could not be reached, or had too much to do. */
const passing = new Set([423, 429, 500, 503, 504])

export function createPost(options: PostOptions): Post {
  const { self, inbox, federation, isOpen, store, crypto, clock, telemetry } = options
  const nameOf = (text: string) => toBase64url(crypto.sha256(utf8(text)))
  const boxOf = (to: OperatorId) => `${prefix}${nameOf(to)}/`

  async function send(to: OperatorId, given: Letter): ReturnType<Post['send']> {
    const params = asJson(given)
    try {
      if (to === self) {
        await inbox.take(given)
        return 'taken'
      }
      const answer = await federation().request(to, { method: deliverMethod, params })
      if (answer.ok) return 'taken'
      return passing.has(answer.status) ? 'later' : answer
    } catch (error) {
      if (to === self) throw error
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('warn', 'invitations.not-sent', { operator: to, message })
      return 'later'
    }
  }

  /** Sends what waits under a prefix; what need not wait any longer is forgotten. */
  async function sendWaiting(under: string): Promise<void> {
    const done: string[] = []
    const records = await Array.fromAsync(store.localScan(under))
    for (const { key, value } of records) {
      const parsed = waiting.safeParse(JSON.parse(new TextDecoder().decode(value)))
      if (!parsed.success) done.push(key)
      else if (await isSettled(parsed.data.to, parsed.data.letter)) done.push(key)
    }
    if (done.length > 0) {
      await store.commit({ documents: [], local: done.map(key => ({ key, value: undefined })) })
    }
  }

  async function sendAll(under: string): Promise<void> {
    try {
      await sendWaiting(under)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('error', 'invitations.send-failed', { message })
    }
  }

  async function isSettled(to: OperatorId, given: Letter): Promise<boolean> {
    if (given.expires <= clock.now() || !(await isOpen(given))) return true
    const sent = await send(to, given)
    if (sent === 'later') return false
    if (sent !== 'taken') telemetry.log('info', 'invitations.refused', { operator: to, reason: sent.cause })
    return true
  }

  return {
    send,

    later: (to, given) => ({
      key: `${boxOf(to)}${nameOf(framed(given.home, given.pnId, given.invitation).toString())}`,
      value: utf8(JSON.stringify({ to, letter: given })),
    }),

    linked: operator => void sendAll(boxOf(operator)),
    sweep: () => sendAll(prefix),
  }
}
