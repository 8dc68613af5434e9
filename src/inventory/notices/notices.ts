import { z } from 'zod'
import type { Attached } from '../../commands/attached.ts'
import type { Json } from '../../document/documents.ts'
import { Allowances } from '../../federation/allowances.ts'
import type { NotificationSpec, Principal } from '../../federation/command.ts'
import type { CommandHandler, Federation } from '../../federation/federation.ts'
import type { Clock } from '../../ports/clock.ts'
import type { OperatorId } from '../../ports/names.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import { mayReadNetwork } from '../authority.ts'
import { network } from '../fields.ts'
import type { Networks } from '../networks.ts'
import { refusals } from '../refusals.ts'
import type { NoticeLimits } from './limits.ts'
import { Outbox } from './outbox.ts'

/*
 * Notices: what a subscriber is told unasked, wherever it is attached. Live only: who is not attached hears nothing, later
 * neither; what counts stands in documents, and a notice says where to look.
 *
 * A notice goes to every server of the subscriber's operator that there is a link to; each tells those who are attached to
 * it, and passes nothing on. Another operator may have us tell our subscribers only what the list of notices has, of a PN in
 * which it takes part and which the subscriber may read, so often and so long. It never learns whether anybody was there.
 */

export interface Notices {
  /**
   * Tells a subscriber, at whichever server and operator it is attached. Best effort, never waits.
   * @throws {RangeError} when the notice is none of those that this server was made with: receivers would refuse it.
   */
  tell<P>(to: Principal, notice: NotificationSpec<P>, params: P): void
}

export interface NoticesOptions {
  readonly self: OperatorId
  readonly attached: Attached
  readonly networks: Pick<Networks, 'view'>
  /** Every notice that there is. */
  readonly notifications: readonly NotificationSpec<unknown>[]
  readonly federation: () => Federation
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly limits: NoticeLimits
}

/** By which servers have each other's clients told. No method of clients. */
export const tellMethod = 'server.tell'

const envelope = z.strictObject({
  identity: z.string().min(1).max(128),
  method: z.string().min(1).max(64),
  params: z.record(z.string(), z.unknown()),
})
type Envelope = z.infer<typeof envelope>
const aboutNetwork = z.object(network)

/** Why a notice of another server was not told. */
type Refused = 'unknown' | 'too-large' | 'malformed' | 'not-authorised' | 'rate'

export function createNotices(options: NoticesOptions): Notices & { readonly receive: CommandHandler } {
  const { self, attached, networks, federation, clock, telemetry, limits } = options
  const known = new Map(options.notifications.map(spec => [spec.method, spec]))
  const batch = z.strictObject({ notices: z.array(envelope).min(1).max(limits.maxBatch) })
  const ofOperators = new Allowances(clock, limits.perOperatorPerSecond, limits.perOperatorBurst)
  const toRecipients = new Allowances(clock, limits.perRecipientPerSecond, limits.perRecipientBurst)
  const outbox = new Outbox<{ readonly [key: string]: Json }>({
    send: (server, notices) => federation().requestAt(server, { method: tellMethod, params: { notices } }),
    maxBatch: limits.maxBatch,
    maxWaiting: limits.maxWaiting,
    what: 'notices',
    telemetry,
  })

  async function refusalOf(notice: Envelope, from: OperatorId): Promise<Refused | undefined> {
    const spec = known.get(notice.method)
    if (!spec) return 'unknown'
    if (JSON.stringify(notice.params).length > limits.maxChars) return 'too-large'
    if (!spec.params.safeParse(notice.params).success) return 'malformed'
    if (from === self) return undefined
    if (!(await mayTell(spec, notice, from))) return 'not-authorised'
    return toRecipients.take(`${from} ${notice.identity}`) > 0 ? 'rate' : undefined
  }

  /** Whether another operator may tell our subscriber this. */
  async function mayTell({ audience }: NotificationSpec<unknown>, notice: Envelope, from: OperatorId) {
    const about = aboutNetwork.safeParse(notice.params)
    if (!about.success || audience === 'own') return false
    if (audience === 'anyone') return about.data.home === from
    const view = await networks.view(about.data)
    const principal = { operator: self, identity: notice.identity }
    return (
      view !== undefined &&
      mayReadNetwork(view, { kind: 'operator', operator: from }) &&
      mayReadNetwork(view, { kind: 'subscriber', principal })
    )
  }

  return {
    tell(to, notice, params) {
      if (known.get(notice.method) !== notice) throw new RangeError(`${notice.method} is no notice of this server.`)
      const plain: { readonly [key: string]: Json } = JSON.parse(JSON.stringify(params))
      if (JSON.stringify(plain).length > limits.maxChars) {
        telemetry.log('error', 'notices.too-large', { method: notice.method })
        return
      }
      if (to.operator === self) attached.deliver(to, notice.method, plain)
      for (const server of federation().linked(to.operator)) {
        outbox.add(server, { identity: to.identity, method: notice.method, params: plain })
      }
    },

    async receive({ params }, from) {
      const parsed = batch.safeParse(params)
      if (!parsed.success) throw refusals.malformed(`What ${tellMethod} takes are notices, at most ${limits.maxBatch}.`)
      const { notices } = parsed.data
      const waits = from.operator === self ? [] : notices.map(() => ofOperators.take(from.operator))
      if (waits.some(waitMs => waitMs > 0)) throw refusals.tooManyOfOperator(Math.max(...waits))
      for (const notice of notices) {
        const principal = { operator: self, identity: notice.identity }
        if (!attached.has(principal)) continue
        const refused = await refusalOf(notice, from.operator)
        if (!refused) attached.deliver(principal, notice.method, notice.params)
        else {
          telemetry.count('cpns_notices_refused_total', { reason: refused })
          telemetry.log('info', 'notices.refused', { peer: from.server, operator: from.operator, reason: refused })
        }
      }
      return { ok: true, value: {} }
    },
  }
}
