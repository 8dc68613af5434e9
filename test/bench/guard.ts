import { applyUpdate, Doc } from 'yjs'
import { guardUpdate, maxUpdateBytes } from '../../src/document/guard.ts'
import { keepApart } from '../../src/document/keep-apart.ts'
import { HonestWriter, ownLog } from '../document/corpus/honest.ts'
import { deletes, first, next, type Piece, register, update } from '../document/corpus/update.ts'
import { historyOf } from '../document/corpus/yjs-history.ts'
import { type Bench, type Figure, median } from './bench.ts'

/*
 * What hostile updates that pass the guard can still cost: the guard's own pass, and `applyUpdate` on logs as large as a
 * replica takes, in the dearest shapes known: as many items as fit into an update, the smallest there are, each overwriting
 * another; and once so that Yjs could join items far from the end, moving all that lie behind.
 */

const wantedMs = 50
const { root, clientId } = ownLog
const small = register(null, 0)
/** About as many of them as fit. */
const itemsPerUpdate = Math.floor(maxUpdateBytes / 110)

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))

/** A log as a hostile server may write it: each update passes both times, or the bench is wrong. */
class HostileLog {
  readonly doc = new Doc({ guid: 'bench' })
  clock = 0
  bytes = 0
  totalMs = 0
  worstMs = 0

  constructor() {
    this.doc.clientID = 1
    this.doc.getMap(root)
  }

  add(written: Uint8Array): void {
    const start = performance.now()
    const log = { root, clientId, nextClock: this.clock, history: historyOf(this.doc, ownLog) }
    const answer = guardUpdate(written, log)
    if (!answer.ok) throw new Error(`The guard refused what was to be measured: ${answer.reason}.`)
    applyUpdate(this.doc, written)
    keepApart(this.doc, clientId, this.clock)
    const ms = performance.now() - start
    this.clock = answer.nextClock
    this.bytes += written.length + entryOverheadBytes
    this.totalMs += ms
    this.worstMs = Math.max(this.worstMs, ms)
  }

  /** First items of so many new keys. */
  addKeys(count: number, prefix: string): void {
    this.add(
      update(
        clientId,
        this.clock,
        times(count, key => first(root, `${prefix}${key}`, small)),
      ),
    )
  }

  /** Items that overwrite those at these clocks, which are sorted. */
  overwrite(clocks: readonly number[]): void {
    const items: Piece[] = clocks.map(clock => next(clientId, clock, small))
    this.add(update(clientId, this.clock, items, deletes(clientId, ...rangesOf(clocks))))
  }
}

/** What an entry weighs besides its update. */
const entryOverheadBytes = 250
const replicaBytes = 16 * 1024 * 1024

function rangesOf(clocks: readonly number[]): (readonly [from: number, length: number])[] {
  const ranges: [number, number][] = []
  for (const clock of clocks) {
    const last = ranges.at(-1)
    if (last && last[0] + last[1] === clock) last[1] += 1
    else ranges.push([clock, 1])
  }
  return ranges
}

const shapes: readonly { readonly name: string; readonly write: (log: HostileLog) => void }[] = [
  {
    name: 'new keys',
    write(log) {
      for (let round = 0; log.bytes < replicaBytes; round++) log.addKeys(itemsPerUpdate, `${round}/`)
    },
  },
  {
    name: 'every key overwritten, again and again',
    write(log) {
      log.addKeys(itemsPerUpdate, 'k')
      while (log.bytes < replicaBytes) log.overwrite(times(itemsPerUpdate, key => log.clock - itemsPerUpdate + key))
    },
  },
  {
    name: 'every second of many keys overwritten, first ones first',
    write(log) {
      for (let round = 0; log.bytes < replicaBytes / 2; round++) log.addKeys(itemsPerUpdate, `${round}/`)
      const keys = log.clock
      for (let from = 0; from + 2 * itemsPerUpdate <= keys && log.bytes < replicaBytes; from += 2 * itemsPerUpdate)
        log.overwrite(times(itemsPerUpdate, key => from + 2 * key))
    },
  },
  {
    name: 'items that could be joined far from the end',
    write(log) {
      // Each key is written twice in a row, so that its two items could be joined once the second is overwritten too.
      for (let key = 0; key < itemsPerUpdate; key++) {
        log.add(update(clientId, log.clock, [first(root, `k${key}`, small)]))
        log.overwrite([log.clock - 1])
      }
      const pairs = log.clock
      for (let round = 0; log.bytes < replicaBytes; round++) log.addKeys(itemsPerUpdate, `${round}/`)
      log.overwrite(times(pairs / 2, pair => 2 * pair + 1))
    },
  },
]

export const guardBench: Bench = {
  name: 'guard',
  summary: 'the guard on an honest entry, and the dearest updates that pass it, in a log of 16 MiB',
  async run(progress) {
    const figures: Figure[] = [{ name: 'guard, one register', value: honestUs(), unit: 'µs' }]
    for (const { name, write } of shapes) {
      const log = new HostileLog()
      write(log)
      progress(`${name}: ${log.clock} items, ${Math.round(log.totalMs)} ms to apply them all`)
      figures.push(
        { name: `${name}: the dearest update`, value: log.worstMs, unit: 'ms', atMost: wantedMs },
        { name: `${name}: per MiB`, value: log.totalMs / (log.bytes / 1024 ** 2), unit: 'ms' },
      )
    }
    return figures
  },
}

/** Microseconds of the guard for an update as most are: one register, overwritten. */
function honestUs(): number {
  const writer = new HonestWriter()
  const write = (stamp: number): Uint8Array =>
    writer.commit([{ key: 'registration/phone', stamp, value: { state: 'active', gateway: 'home' } }])
  write(1_700_000_000_000)
  const written = write(1_700_000_000_001)
  const log = { root, clientId, nextClock: 1 }
  const runs = times(20, () => {
    const start = performance.now()
    for (let call = 0; call < 10_000; call++) guardUpdate(written, log)
    return (performance.now() - start) / 10
  })
  return median(runs)
}
