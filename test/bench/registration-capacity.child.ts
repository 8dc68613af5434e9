import { homeDocument } from '../../src/inventory/networks.ts'
import type { RegistrationRecord } from '../../src/inventory/records/registrations.ts'
import { asValue, keys } from '../../src/inventory/records.ts'
import { elementsEach, networkCount, queryGroups } from './registration-capacity.ts'
import {
  admit,
  BenchPne,
  type BenchServer,
  benchServer,
  each,
  establish,
  gatewayId,
  home,
  register,
} from './registration-server.ts'

/*
 * Fills a store (`fill`) or serves from it (`serve`); tells its parent how far it is, and at the end what it measured.
 * Filling goes by commands but for the registrations themselves, whose records are written as a registration leaves
 * them: 100,000 exchanges of sealed messages would take minutes and change nothing of what is on disk.
 */

export interface CapacityReport {
  readonly startMs: number
  readonly startedBytes: number
  readonly peakBytes: number
  /** Of each group of queries. */
  readonly coldP99Ms: readonly number[]
  readonly coldMedianMs: readonly number[]
}

const dayMs = 86_400_000
const registrationsWhileServing = 500
const atOnce = 64

const pnIds = Array.from({ length: networkCount }, (_, at) => `pn-${String(at).padStart(6, '0')}`)
const elements = Array.from({ length: elementsEach }, (_, at) => `pne-${at}`)
const say = (line: string) => process.send?.({ line })

async function fill(server: BenchServer): Promise<void> {
  let done = 0
  await each(pnIds, atOnce, async pnId => {
    await establish(server, pnId)
    await admit(server, pnId, elements)
    await server.documents.write(homeDocument({ home, pnId }), (registers, now) => ({
      writes: elements.map(pneId => {
        const pne = { operator: home, pneId }
        const since = registers.get(keys.roster(pne))?.stamp ?? now
        return { key: keys.registration(pne, `filled-${'0'.repeat(15)}`), value: asValue(registered(pnId, since, now)) }
      }),
      answer: undefined,
    }))
    done++
    if (done % 2_000 === 0) say(`filled ${done} of ${networkCount} Personal Networks`)
  })
}

function registered(pnId: string, admission: number, now: number): RegistrationRecord {
  return {
    epoch: 1,
    admission,
    state: 'active',
    cpnsId: `cpns:${home}:${pnId.padEnd(22, '0')}`,
    gatewayId,
    mode: 'PNE',
    capabilities: { audio: 'stereo', display: '1080p' },
    expires: now + dayMs,
    confirmation: '0'.repeat(43),
  }
}

async function serve(server: BenchServer): Promise<CapacityReport> {
  const startedBytes = process.memoryUsage.rss()
  say(`started in ${Math.round(startMs)} ms, ${Math.round(startedBytes / 1e6)} MB resident`)
  const groups = await coldQueries(server)
  const pnes = pnIds.filter((_, at) => at % Math.ceil(networkCount / registrationsWhileServing) === 0)
  await each(
    pnes.map(pnId => new BenchPne(pnId, 'pne-0')),
    atOnce,
    pne => register(server, pne),
  )
  const peakBytes = process.resourceUsage().maxRSS * 1024
  say(`${pnes.length} registrations later, ${Math.round(peakBytes / 1e6)} MB at the most`)
  return {
    startMs,
    startedBytes,
    peakBytes,
    coldP99Ms: groups.map(times => at(times, 0.99)),
    coldMedianMs: groups.map(times => at(times, 0.5)),
  }
}

/** Each of a PN that nobody has asked for since the start, one after another, far from each other on disk. */
async function coldQueries(server: BenchServer): Promise<number[][]> {
  const groups: number[][] = []
  // What the start has read last may be in memory still.
  const cold = pnIds.slice(0, networkCount * 0.7)
  for (let group = 0; group < queryGroups; group++) {
    const times: number[] = []
    for (let index = group; index < cold.length; index += queryGroups) {
      const pnId = cold[(index * 7919) % cold.length] as string
      const start = performance.now()
      const { members } = await server.call<{ members: unknown[] }>('pn.inventory', { home, pnId })
      times.push(performance.now() - start)
      if (members.length !== elementsEach) throw new Error(`${pnId} shows ${members.length} elements.`)
    }
    groups.push(times.sort((a, b) => a - b))
    say(
      `cold inventories ${group + 1} of ${queryGroups}: median ${at(times, 0.5).toFixed(2)} ms, ` +
        `p99 ${at(times, 0.99).toFixed(2)} ms, ${Math.round(process.memoryUsage.rss() / 1e6)} MB resident`,
    )
  }
  return groups
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(sorted.length * share)] ?? Number.NaN
}

function nothing(startMs: number): CapacityReport {
  return { startMs, startedBytes: 0, peakBytes: 0, coldP99Ms: [], coldMedianMs: [] }
}

const [phase, folder = ''] = process.argv.slice(2)
const start = performance.now()
const server = await benchServer(folder)
const startMs = performance.now() - start
if (phase === 'fill') await fill(server)
const report = phase === 'serve' ? await serve(server) : nothing(startMs)
await server.close()
process.send?.({ report })
