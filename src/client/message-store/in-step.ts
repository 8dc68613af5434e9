import { mailboxChanged } from '../../storage/methods/sync.ts'
import { directoryFind } from '../../storage/methods/users.ts'
import { type MailboxName, mailboxDocument } from '../../storage/names.ts'
import { RequestRefused } from '../errors.ts'
import { backoffMs, isForGood, isOpen } from '../patience.ts'
import type { ClientPorts, Session, SessionOptions } from '../session.ts'
import { createAttaching } from './attaching.ts'
import { type Connection, createConnection, type Way } from './connection.ts'
import type { ConnectionState, Tell } from './events.ts'
import type { Metering } from './metering.ts'
import type { Pending } from './pending.ts'
import type { Replica } from './replica.ts'
import { createSchedule } from './schedule.ts'
import { type SyncResult, synchronise, type Taken } from './synchronise.ts'

/*
 * Keeps a replica in step: when there is a connection, when a server says that something is new, when the user has done
 * something, now and then, and when it is asked to. What fails is tried again, and a server that lags is left for another one.
 */

export interface InStepOptions {
  readonly ports: ClientPorts
  /** The home operator's first: as its subscriber all commands are given. */
  readonly ways: readonly SessionOptions[]
  readonly address: string
  readonly device: string
  /** For people. */
  readonly deviceName: string
  readonly metering: Metering
  readonly pageSize: number
  /** `undefined`: not by itself. */
  readonly everyMs: number | undefined
  readonly onNotification: boolean
  readonly replica: Replica
  readonly pending: Pending
  readonly turn: <T>(work: () => Promise<T>) => Promise<T>
  readonly tell: Tell
}

export interface InStep {
  readonly connection: Connection
  /** One sync that begins after this call. @throws what kept it from its end */
  sync(): Promise<SyncResult>
  /** Soon, with what else is wanted by then. */
  soon(): void
  /** The way to the servers, and whose mailbox it is. @throws {NotConnected} and as calls */
  reach(): Promise<{ readonly way: Way; readonly mailbox: MailboxName }>
  /** Resolves when nothing runs any more. */
  stop(): Promise<void>
}

/** What the user does within so long goes up together. */
const togetherMs = 20
const retrying = { firstMs: 500, longestMs: 60_000 }
/** What another operator has decided shows here a little later. */
const settlingMs = 2_000
/** After so many syncs with a server that lags another one is tried. */
const patientSyncs = 3

/** The address is not a user's, so there is no mailbox. */
export class AddressUnknown extends Error {
  override readonly name = 'AddressUnknown'
}

export function keepInStep(options: InStepOptions): InStep {
  const { ports, ways, address, replica, turn, tell, everyMs, metering } = options
  const { clock, crypto } = ports
  const [home] = ways
  const taken: Taken = new Map()
  let running: Promise<unknown> = Promise.resolve()
  let failures = 0
  let lags = 0

  const attaching = createAttaching({
    crypto,
    ...options,
    async learned({ onMetered, maxMediaBytes }) {
      const preferences = { onMetered, maxMediaBytes }
      if (JSON.stringify(preferences) === JSON.stringify(replica.state.preferences)) return
      await turn(() => replica.write({ preferences }))
      metering.review()
    },
  })

  const connection = createConnection(ports, ways, {
    changed(state: ConnectionState) {
      attaching.forget()
      tell({ kind: 'connection', connection: state })
      if (state.kind === 'online') schedule.within(failures === 0 ? 0 : backoffMs(failures, crypto, retrying))
      if (state.kind === 'offline' || state.kind === 'refused') schedule.stop()
    },
    notification(method, params) {
      if (!options.onNotification || method !== mailboxChanged.method) return
      const said = mailboxChanged.params.safeParse(params).data
      const { mailbox } = replica.state
      if (said && said.operator === mailbox?.operator && said.user === mailbox.user) schedule.within(0)
    },
  })

  const schedule = createSchedule(clock, () => {
    const mine = run()
    running = mine.catch(() => {})
    return mine
  })

  async function run(): Promise<SyncResult> {
    tell({ kind: 'sync.begun' })
    try {
      const { way, mailbox } = await reach()
      const { session, options: by } = way
      const commands = commandsOf(way, mailbox)
      // It may have been changed elsewhere what is wanted where data costs money.
      if (metering.isMetered) attaching.forget()
      // Before: what changes from now on is told, and what changed before comes with the sync.
      if (options.onNotification) await attaching.attach(session, commands, mailbox)
      const result = await synchronise({
        ...options,
        ...{ clock, session, commands, mailbox, taken },
        content: () => metering.content(),
        arePassedOn: by.operator !== mailbox.operator,
      })
      failures = 0
      tell({ kind: 'sync.ended', ...result })
      planNext(result)
      return result
    } catch (error) {
      // A connection that was lost is no reason to hesitate when there is one again.
      if (!isOpen(error)) failures++
      const retryMs = planRetry(error)
      tell({ kind: 'sync.failed', error: error instanceof Error ? error : new Error(String(error)), retryMs })
      throw error
    }
  }

  async function reach() {
    const way = await connection.way()
    const known = replica.state.mailbox
    if (known) return { way, mailbox: known }
    const { operator, kind, name } = await way.session.call(directoryFind, { address })
    if (kind !== 'user') throw new AddressUnknown(`${address} is the address of a group, which has no mailbox.`)
    const mailbox = { operator, user: name }
    await turn(() => replica.write({ mailbox }))
    return { way, mailbox }
  }

  /** Commands are always the same subscriber's: what they make has its name from that. */
  function commandsOf({ session, options: by }: Way, mailbox: MailboxName): Pick<Session, 'call'> {
    if (by === home || !home) return session
    const prove = { executor: mailbox.operator, document: mailboxDocument(mailbox), as: home }
    return { call: (spec, params, more) => session.call(spec, params, { ...more, prove }) }
  }

  function planNext({ isLagging, held, isSettled }: SyncResult): void {
    lags = isLagging ? lags + 1 : 0
    if (lags > 0 && lags % patientSyncs === 0) connection.goElsewhere()
    if (isLagging) schedule.within(backoffMs(lags, crypto, retrying))
    if (held) schedule.within(retryAfterOf(held) ?? retrying.firstMs + backoffMs(1, crypto, retrying))
    if (!isSettled) schedule.within(settlingMs)
    if (everyMs !== undefined) schedule.within(everyMs)
  }

  /** @returns when it is tried again; without a connection it is when there is one */
  function planRetry(error: unknown): number | undefined {
    if (connection.state.kind !== 'online') return undefined
    // This one may not hold the mailbox, another one may.
    if (error instanceof RequestRefused && isForGood(error)) connection.goElsewhere()
    const retryMs = (retryAfterOf(error) ?? 0) + backoffMs(Math.max(1, failures), crypto, retrying)
    schedule.within(retryMs)
    return retryMs
  }

  return {
    connection,
    sync: () => schedule.now(),
    soon() {
      if (connection.state.kind === 'online') schedule.within(togetherMs)
    },
    reach,
    async stop() {
      schedule.stop()
      connection.goOffline()
      await running
      schedule.stop()
    },
  }
}

const retryAfterOf = (error: unknown): number | undefined =>
  error instanceof RequestRefused ? error.retryAfterMs : undefined
