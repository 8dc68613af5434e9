import { defaultThresholds, type Thresholds, worst } from '../../access/load/level.ts'
import type { CounterSample } from '../../adapters/metrics.ts'
import type { DocumentNotice } from '../../document/documents.ts'
import { parseDocumentId } from '../../document/names.ts'
import type { Cancel, Clock } from '../../ports/clock.ts'
import type { StatusAnswer } from '../admin/status.ts'
import type { Draining } from '../draining.ts'
import { alarmsOf } from './alarms.ts'
import { type FederationSources, federationReader } from './federation-map.ts'
import type { RecentEvents } from './recent-events.ts'
import { type SampledNode, sampleMs, sampling } from './sampling.ts'
import type { Action, Overview, Revisions, Update } from './shapes.ts'

/*
 * What consoles are told, as it changes. Everything that is told is whole, not a difference: so a console that reads slowly, or was
 * away, misses nothing by not having been told what was in between.
 */

const tickMs = 1_000
/** More pages than one operator's people have open; each costs a little every second. */
const maxConsoles = 32

export class TooManyConsoles extends Error {
  override readonly name = 'TooManyConsoles'
}

export interface Feed {
  /** What one console is told; it ends when that goes. @throws {TooManyConsoles} */
  open(): ReadableStream<Update>
  stop(): void
}

export interface FeedOptions {
  readonly node: SampledNode & FederationSources
  readonly status: () => StatusAnswer
  readonly draining: Pick<Draining, 'progress'>
  readonly recent: Pick<RecentEvents, 'events'>
  readonly counters: () => readonly CounterSample[]
  readonly clock: Clock
  readonly thresholds?: Thresholds
  readonly actions?: readonly Action[]
}

/** Begins to keep samples at once. */
export function createFeed(options: FeedOptions): Feed {
  const { node, status, draining, recent, counters, clock, thresholds = defaultThresholds, actions = [] } = options
  const federation = federationReader(node, clock)
  const sampled = sampling(node, counters, clock)
  const consoles = new Set<ReadableStreamDefaultController<Update>>()
  /** What each console was told last, of each part, as text. */
  const told = new WeakMap<ReadableStreamDefaultController<Update>, Map<string, string>>()
  const revisions = { networks: 0, mailboxes: 0, documents: 0 }
  let ticks = 0
  let cancel: Cancel = () => {}

  const ignore = node.documents.subscribe(({ document }: DocumentNotice) => {
    revisions.documents++
    const kind = kindOf(document)
    if (kind) revisions[kind]++
  })

  function overviewOf(): Overview {
    const { links, ...found } = status()
    const { level, signals } = found
    const cause = level === 'normal' ? undefined : worst(signals, thresholds).signal
    return {
      ...found,
      at: clock.now(),
      thresholds: thresholdsOf(thresholds),
      links: { up: links.filter(({ state }) => state === 'up').length, all: links.length },
      ...(cause && { cause }),
      ...(draining.progress && { drain: draining.progress }),
    }
  }

  function everything(): Required<Update> {
    const overview = overviewOf()
    const map = federation()
    const alarms = { standing: [...alarmsOf(overview, map)], events: [...recent.events()] }
    return {
      overview,
      samples: [...sampled.samples],
      federation: map,
      alarms,
      revisions: { ...revisions },
      actions: [...actions],
    }
  }

  /** Says what has changed to whoever has read what was said before. */
  function tell(console: ReadableStreamDefaultController<Update>, now: Required<Update>): void {
    if ((console.desiredSize ?? 0) <= 0) return
    const before = told.get(console) ?? new Map<string, string>()
    told.set(console, before)
    const changed = Object.entries(now).filter(([part, value]) => {
      const text = JSON.stringify(value)
      if (before.get(part) === text) return false
      before.set(part, text)
      return true
    })
    if (changed.length > 0) console.enqueue(Object.fromEntries(changed))
  }

  function tick(): void {
    cancel = clock.after(tickMs, tick)
    if (++ticks % (sampleMs / tickMs) === 0) sampled.sample()
    if (consoles.size === 0) return
    const now = everything()
    for (const console of consoles) tell(console, now)
  }
  cancel = clock.after(tickMs, tick)

  return {
    open() {
      if (consoles.size >= maxConsoles) {
        throw new TooManyConsoles(`${maxConsoles} consoles are open already; close one of them.`)
      }
      let own: ReadableStreamDefaultController<Update> | undefined
      return new ReadableStream<Update>({
        start(controller) {
          own = controller
          consoles.add(controller)
          tell(controller, everything())
        },
        cancel() {
          if (own) consoles.delete(own)
        },
      })
    },
    stop() {
      cancel()
      ignore()
      sampled.stop()
      for (const console of consoles) console.close()
      consoles.clear()
    },
  }
}

function kindOf(document: DocumentNotice['document']): Exclude<keyof Revisions, 'documents'> | undefined {
  const { kind } = parseDocumentId(document)
  if (kind === 'pn' || kind === 'visit') return 'networks'
  return kind === 'mailbox' || kind === 'conversation' || kind === 'devices' ? 'mailboxes' : undefined
}

const thresholdsOf = (all: Thresholds): Overview['thresholds'] => ({
  loopDelayMs: [...all.loopDelayMs],
  utilisation: [...all.utilisation],
  memory: [...all.memory],
  authenticationWaitMs: [...all.authenticationWaitMs],
  commitMs: [...all.commitMs],
  connections: [...all.connections],
})
