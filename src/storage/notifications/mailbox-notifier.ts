import type { Documents, Registers } from '../../document/documents.ts'
import type { ClientConnection } from '../../federation/command.ts'
import type { Cancel, Clock } from '../../ports/clock.ts'
import type { PushOutcome } from '../../ports/push.ts'
import type { Random } from '../../ports/random.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import { reachOf } from '../authority.ts'
import { type DevicePolicy, inForce } from '../devices/preferences.ts'
import { type Device, devicesIn } from '../devices/records.ts'
import type { Reachable, Subscriptions } from '../devices/subscriptions.ts'
import { mailboxChanged } from '../methods/sync.ts'
import { type MailboxName, mailboxDocument } from '../names.ts'
import { isLiving, type Vector } from '../records.ts'
import { concernOf } from './concern.ts'
import { afterSync, afterTold, type Pace, type PaceLimits, type RetryLimits, retryMs, unpaced, waitMs } from './pace.ts'
import type { SendPush } from './pushing.ts'

export interface MailboxNotifierOptions {
  readonly documents: Pick<Documents, 'read'>
  readonly clock: Pick<Clock, 'after' | 'elapsed'>
  readonly random: Pick<Random, 'fraction'>
  readonly telemetry: Telemetry
  readonly policy: DevicePolicy
  readonly pace: PaceLimits
  readonly retry: RetryLimits
  /** Absent where this operator sends no Web Push, and for mailboxes of others. */
  readonly push?:
    | { readonly subscriptions: Pick<Subscriptions, 'find' | 'drop' | 'told'>; readonly send: SendPush }
    | undefined
  readonly isAttachedElsewhere: (name: MailboxName, device: string) => Promise<boolean>
  /** Nobody is attached and nothing is owed: it may be forgotten. */
  readonly idle: () => void
}

/** What is known of a device for as long as it matters. */
interface Standing {
  /** Up to here it need not be told. */
  seen: Vector
  /** As far as that is on disk. */
  kept: Vector | undefined
  pace: Pace
  /** This server has changed something since, so it is the one to push. */
  isOwed: boolean
  isPushing: boolean
  /** It has changed more while it was pushing. */
  isOwedAgain: boolean
  attempts: number
  /** Not before, elapsed milliseconds: its push service has asked for that. */
  notBeforeMs: number
  timer: Cancel
}

/** So long after the last use what is known of devices is written down and forgotten. */
const idleMs = 60_000
const retryReadMs = 5_000

/**
 * Tells the devices of one mailbox that it has changed. Whatever comes is noted at once; one loop then works through what there
 * is, so a burst of changes is looked at as one.
 */
export class MailboxNotifier {
  readonly #name: MailboxName
  readonly #options: MailboxNotifierOptions
  readonly #attached = new Map<string, Set<ClientConnection>>()
  readonly #standings = new Map<string, Standing>()
  #isDirty = false
  #hasOwnChanges = false
  #isWorking = false
  #isStopped = false
  #idleTimer: Cancel = () => {}
  #retryTimer: Cancel = () => {}

  constructor(name: MailboxName, options: MailboxNotifierOptions) {
    this.#name = name
    this.#options = options
  }

  isAttached(device: string): boolean {
    return this.#attached.has(device)
  }

  get hasAttached(): boolean {
    return this.#attached.size > 0
  }

  /** Something has changed, and is durable. `isOwn`: this server has changed it. */
  changed(isOwn: boolean): void {
    if (this.#isStopped) return
    this.#hasOwnChanges ||= isOwn
    this.#isDirty = true
    if (!this.#isWorking) void this.#work()
  }

  attach(device: string, connection: ClientConnection, seen: Vector): void {
    const connections = this.#attached.get(device) ?? new Set()
    if (connections.has(connection)) return
    this.#attached.set(device, connections.add(connection))
    this.#stand(device, seen, undefined)
    connection.onEnd(() => {
      connections.delete(connection)
      if (connections.size > 0 || this.#attached.get(device) !== connections) return
      this.#attached.delete(device)
      this.#restLater()
    })
    this.changed(false)
  }

  /** The device has synchronised up to here. */
  synced(device: string, seen: Vector): void {
    const standing = this.#standings.get(device)
    if (!standing) return
    standing.seen = joined(standing.seen, seen)
    standing.pace = afterSync(standing.pace)
    standing.attempts = 0
    this.changed(false)
  }

  /** Ends all that it does, and writes down what it knows. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#idleTimer()
    this.#retryTimer()
    for (const { timer } of this.#standings.values()) timer()
    await this.#keep()
  }

  async #work(): Promise<void> {
    this.#isWorking = true
    this.#idleTimer()
    // What comes in the same turn is looked at together.
    await Promise.resolve()
    while (this.#isDirty && !this.#isStopped) {
      this.#isDirty = false
      const isOwn = this.#hasOwnChanges
      this.#hasOwnChanges = false
      await this.#look(isOwn).catch(error => this.#notLooked(error, isOwn))
    }
    this.#isWorking = false
    this.#restLater()
  }

  /** A document could not be read: that is tried again later. */
  #notLooked(error: unknown, isOwn: boolean): void {
    const { telemetry, clock } = this.#options
    const message = error instanceof Error ? error.message : String(error)
    telemetry.log('warn', 'storage.notifying-failed', { document: mailboxDocument(this.#name), message })
    this.#hasOwnChanges ||= isOwn
    this.#retryTimer()
    this.#retryTimer = clock.after(retryReadMs, () => this.changed(false))
  }

  async #look(isOwn: boolean): Promise<void> {
    const mailbox = await this.#options.documents.read(mailboxDocument(this.#name))
    const devices = isLiving(mailbox) ? [...devicesIn(mailbox)] : []
    for (const device of devices) await this.#consider(device, mailbox, isOwn)
    for (const known of this.#standings.keys()) if (!devices.some(({ device }) => device === known)) this.#forget(known)
  }

  async #consider(device: Device, mailbox: Registers, isOwn: boolean): Promise<void> {
    const { documents, policy, pace, clock } = this.#options
    const { notify, quietMs, scope } = inForce(device.wishes, policy)
    const isHere = this.isAttached(device.device)
    const mayPush = notify === 'push' && this.#options.push !== undefined
    const before = this.#standings.get(device.device)
    if (notify === 'none' || !(isHere || (mayPush && (isOwn || before?.isOwed)))) return
    const reach = reachOf(mailbox, device.subscriber)
    if (!reach?.rights.has('read')) return
    const standing = before ?? (await this.#standingOnDisk(device.device))
    if (!standing) return
    if (standing.isPushing) {
      standing.isOwedAgain ||= isOwn
      return
    }
    standing.isOwed ||= isOwn && mayPush
    const nowMs = clock.elapsed()
    const delayMs = Math.max(waitMs(standing.pace, quietMs, pace, nowMs), isHere ? 0 : standing.notBeforeMs - nowMs)
    if (delayMs > 0) {
      this.#lookAgain(standing, delayMs)
      return
    }
    const interest = { device: device.device, scope, reach }
    const { isConcerned, to } = await concernOf(this.#name, mailbox, standing.seen, interest, documents)
    if (!isConcerned) {
      standing.seen = joined(standing.seen, to)
      this.#settled(standing)
    } else if (this.isAttached(device.device)) this.#tell(device.device, standing, to)
    else if (standing.isOwed) void this.#push(device.device, standing, to)
  }

  #tell(device: string, standing: Standing, to: Vector): void {
    const { operator, user } = this.#name
    for (const connection of this.#attached.get(device) ?? [])
      connection.tell(mailboxChanged.method, { operator, user })
    this.#options.telemetry.count('cpns_storage_notifications_total', { way: 'websocket' })
    this.#told(standing, to)
  }

  #told(standing: Standing, to: Vector): void {
    standing.seen = joined(standing.seen, to)
    standing.pace = afterTold(standing.pace, this.#options.clock.elapsed())
    this.#settled(standing)
  }

  /** Nothing is owed to the device now. */
  #settled(standing: Standing): void {
    standing.isOwed = standing.isOwedAgain
    standing.isOwedAgain = false
    standing.attempts = 0
    standing.notBeforeMs = 0
  }

  async #push(device: string, standing: Standing, to: Vector): Promise<void> {
    const { push, telemetry, isAttachedElsewhere } = this.#options
    if (!push) return
    standing.isPushing = true
    try {
      if (await isAttachedElsewhere(this.#name, device)) {
        standing.seen = joined(standing.seen, to)
        this.#settled(standing)
        return
      }
      const found = await push.subscriptions.find(this.#name, device)
      if (!found) this.#settled(standing)
      else this.#concluded(device, standing, to, found.at, await push.send(this.#name, found.at))
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('warn', 'storage.push-failed', { document: mailboxDocument(this.#name), message })
      this.#concluded(device, standing, to, undefined, { kind: 'retry', reason: 'unreachable' })
    } finally {
      standing.isPushing = false
      this.changed(false)
    }
  }

  #concluded(device: string, standing: Standing, to: Vector, at: Reachable | undefined, outcome: PushOutcome): void {
    const { clock, random, retry, telemetry } = this.#options
    switch (outcome.kind) {
      case 'delivered':
        telemetry.count('cpns_storage_notifications_total', { way: 'push' })
        this.#told(standing, to)
        void this.#keep()
        return
      case 'gone':
        this.#forget(device)
        void this.#drop(device, at)
        return
      case 'refused':
        telemetry.log('info', 'storage.push-refused', { reason: outcome.reason })
        this.#told(standing, to)
        return
      case 'retry': {
        standing.attempts += 1
        const delayMs = retryMs(standing.attempts, outcome.afterMs, retry, random)
        if (delayMs === undefined) {
          telemetry.count('cpns_storage_pushes_given_up_total')
          this.#told(standing, to)
        } else standing.notBeforeMs = clock.elapsed() + delayMs
      }
    }
  }

  async #drop(device: string, at: Reachable | undefined): Promise<void> {
    try {
      await this.#options.push?.subscriptions.drop(this.#name, device, at?.subscription.endpoint)
    } catch (error) {
      // It is found dead again by the next notification.
      const message = error instanceof Error ? error.message : String(error)
      this.#options.telemetry.log('warn', 'storage.push-not-dropped', { message })
    }
  }

  async #standingOnDisk(device: string): Promise<Standing | undefined> {
    const found = await this.#options.push?.subscriptions.find(this.#name, device)
    return found && this.#stand(device, found.told, found.told)
  }

  #stand(device: string, seen: Vector, kept: Vector | undefined): Standing {
    const known = this.#standings.get(device)
    if (known) {
      known.seen = joined(known.seen, seen)
      known.kept ??= kept
      return known
    }
    const standing: Standing = {
      ...{
        seen,
        kept,
        pace: unpaced,
        isOwed: false,
        isPushing: false,
        isOwedAgain: false,
        attempts: 0,
        notBeforeMs: 0,
      },
      timer: () => {},
    }
    this.#standings.set(device, standing)
    return standing
  }

  #forget(device: string): void {
    this.#standings.get(device)?.timer()
    this.#standings.delete(device)
  }

  #lookAgain(standing: Standing, delayMs: number): void {
    standing.timer()
    standing.timer = this.#options.clock.after(delayMs, () => this.changed(false))
  }

  /** Some time after there is nothing left to do it writes down what it knows, and may be forgotten. */
  #restLater(): void {
    if (this.#isStopped) return
    this.#idleTimer()
    this.#idleTimer = this.#options.clock.after(idleMs, () => void this.#rest())
  }

  async #rest(): Promise<void> {
    const { pace, clock } = this.#options
    const nowMs = clock.elapsed()
    const isBusy = [...this.#standings.values()].some(
      standing => standing.isOwed || standing.isPushing || waitMs(standing.pace, 0, pace, nowMs) > 0,
    )
    if (this.hasAttached || this.#isWorking) return
    if (isBusy || this.#hasOwnChanges) {
      this.#restLater()
      return
    }
    await this.#keep()
    if (this.hasAttached || this.#isWorking) return
    await this.stop()
    this.#options.idle()
  }

  /** Writes down what devices that are pushed to need not be told again after a restart. */
  async #keep(): Promise<void> {
    const { push, telemetry } = this.#options
    const news = new Map(
      [...this.#standings].flatMap(([device, { kept, seen }]) =>
        kept && isCovered(seen, kept) ? [] : [[device, seen] as const],
      ),
    )
    if (!push || news.size === 0) return
    try {
      await push.subscriptions.told(this.#name, news)
      for (const [device, seen] of news) {
        const standing = this.#standings.get(device)
        if (standing) standing.kept = seen
      }
    } catch (error) {
      // After a restart it is told once more: no harm.
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('warn', 'storage.told-not-kept', { message })
    }
  }
}

/** How far either has come. */
function joined(a: Vector, b: Vector): Vector {
  const both = new Map(a)
  for (const [run, n] of b) both.set(run, Math.max(n, both.get(run) ?? 0))
  return both
}

const isCovered = (vector: Vector, by: Vector): boolean => [...vector].every(([run, n]) => n <= (by.get(run) ?? 0))
