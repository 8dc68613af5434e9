import type { Cancel, Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import { CorruptRecord, type LogStore } from '../ports/log-store.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Documents } from './documents.ts'
import { type Surveyed, survey } from './survey.ts'

/*
 * Reads the whole store again and again, slowly, in the background: a disk changes records that nobody reads for months, and
 * by then the last good copy may be gone. What is found damaged is mended as if somebody had asked for it.
 */

export interface ScrubLimits {
  /** How fast it reads, on average. 0: it never does. */
  readonly bytesPerSecond: number
  /** How long it waits after the start, and after each time that it has come to the end. */
  readonly restMs: number
}

export const defaultScrubLimits: ScrubLimits = { bytesPerSecond: 1024 * 1024, restMs: 24 * 3_600_000 }

export type ScrubState = 'off' | 'resting' | 'reading'

/** How far it is, since the node has started. */
export interface ScrubProgress {
  readonly state: ScrubState
  /** How often it has come to the end. */
  readonly rounds: number
  /** Of the present round, or else of the last one. */
  readonly documents: number
  readonly bytes: number
  /** Records of this server alone that were found damaged in that round: nobody else has them. */
  readonly damagedRecords: readonly string[]
}

export interface Scrubber {
  readonly progress: ScrubProgress
  start(): void
  /** Other limits from now on, also for what is under way. */
  change(limits: ScrubLimits): void
  stop(): void
}

export interface ScrubberOptions {
  readonly store: LogStore
  readonly documents: Pick<Documents, 'examine'>
  /** While there is too much to do here, it waits. */
  readonly isBusy: () => boolean
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly limits: ScrubLimits
}

/** It pauses no more often than after so many bytes: shorter pauses would be nothing but timers. */
const pauseBytes = 64 * 1024
/** What looking up something costs beside its bytes. */
const lookBytes = 512
const busyMs = 5_000
const namedAtMost = 100

export function createScrubber({
  store,
  documents,
  isBusy,
  crypto,
  clock,
  telemetry,
  limits: givenLimits,
}: ScrubberOptions): Scrubber {
  let limits = givenLimits
  const isOff = () => limits.bytesPerSecond <= 0
  const mayGoOn = () => !isStopped && !isOff()
  let progress: ScrubProgress = {
    state: isOff() ? 'off' : 'resting',
    rounds: 0,
    documents: 0,
    bytes: 0,
    damagedRecords: [],
  }
  let cancel: Cancel = () => {}
  let wake = () => {}
  let isStopped = true
  let isRunning = false

  /** Ends early when limits change. */
  const pause = (ms: number): Promise<void> =>
    new Promise(resolve => {
      wake = resolve
      cancel = clock.after(ms, resolve)
    })

  async function rest(): Promise<void> {
    const beganMs = clock.elapsed()
    const leftMs = () => Math.max(0, beganMs + limits.restMs - clock.elapsed())
    progress = { ...progress, state: 'resting' }
    do await pause(leftMs())
    while (mayGoOn() && leftMs() > 0)
  }

  async function round(): Promise<void> {
    const beganMs = clock.elapsed()
    progress = { ...progress, state: 'reading', documents: 0, bytes: 0, damagedRecords: [] }
    let owedBytes = 0
    for await (const found of survey(store, crypto)) {
      progress = {
        ...progress,
        documents: progress.documents + (found.kind === 'document' ? 1 : 0),
        bytes: progress.bytes + found.bytes,
      }
      if (found.fault) await damaged(found, found.fault)
      owedBytes += found.bytes + lookBytes
      if (owedBytes >= pauseBytes) {
        await pause((owedBytes / limits.bytesPerSecond) * 1_000)
        owedBytes = 0
      }
      while (mayGoOn() && isBusy()) await pause(busyMs)
      if (!mayGoOn()) return
    }
    progress = { ...progress, rounds: progress.rounds + 1 }
    const { bytes, damagedRecords } = progress
    telemetry.log('info', 'store.scrubbed', {
      documents: progress.documents,
      bytes,
      damagedRecords: damagedRecords.length,
      tookMs: Math.round(clock.elapsed() - beganMs),
    })
  }

  async function damaged(found: Surveyed | undefined, { record }: CorruptRecord): Promise<void> {
    if (found?.kind === 'document') {
      await documents.examine(found.document)
      return
    }
    telemetry.count('cpns_records_damaged_total')
    if (found?.kind === 'fact') {
      // Gone, it is derived anew when somebody needs it; one that was written since is, too.
      await store.commit({ documents: [], local: [{ key: found.key, value: undefined }] })
      telemetry.log('warn', 'facts.damaged', { record })
      return
    }
    telemetry.log('error', 'store.record-damaged', { record })
    if (progress.damagedRecords.length < namedAtMost)
      progress = { ...progress, damagedRecords: [...progress.damagedRecords, record] }
  }

  async function run(): Promise<void> {
    if (isRunning) return
    isRunning = true
    while (mayGoOn()) {
      await rest()
      if (mayGoOn()) await attempt()
    }
    isRunning = false
    if (isOff()) progress = { ...progress, state: 'off' }
  }

  async function attempt(): Promise<void> {
    try {
      await round()
    } catch (error) {
      if (isStopped) return
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('error', 'store.scrub-failed', { message })
      if (error instanceof CorruptRecord) await damaged(undefined, error)
    }
  }

  return {
    get progress() {
      return progress
    },
    start() {
      isStopped = false
      void run()
    },
    change(to) {
      limits = to
      cancel()
      wake()
      void run()
    },
    stop() {
      isStopped = true
      cancel()
    },
  }
}
