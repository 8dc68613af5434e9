import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerFolder } from '../../../examples/support/operators.ts'
import { type Figure, figureOf } from '../bench.ts'
import { type BenchServer, folders, start } from '../overload/bench-server.ts'
import { fillFolder } from '../start/documents.ts'
import { AnonymousMemory } from '../start/one-start.ts'
import { subscriberOf } from './documents.ts'
import { networks } from './networks.ts'
import { besideHocuspocus, beyondAuthentication, costOf, figuresOf, opening, take, warmUp } from './opening.ts'

/*
 * The same of this server alone with very many documents on its disk, of which some are opened, spread over all; and the memory that it takes
 * then. Its operator has two servers more, which do not run: they are given every document, so that the hash tree for them both holds all of them.
 */

export interface Many {
  readonly documents: number
  readonly opens: number
  readonly rounds: number
  readonly warmUp: number
}

const servers = 3
/** The first start with a million documents reads them all. */
const readyWithinMs = 1_800_000
const residentAtMostMebibytes = 400
const name = 'this server among many documents'

export async function amongMany(
  { documents, opens, rounds, warmUp: unmeasured }: Many,
  hocuspocusPerSecond: number,
  progress: (line: string) => void,
): Promise<Figure[]> {
  const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
  const opened = unmeasured + 2 * rounds * opens
  const every = Math.floor(documents / opened)
  const identities = Array.from({ length: opened }, (_, at) => subscriberOf(at * every))
  const all = await folders(root, servers, identities)
  try {
    const [home] = all
    if (!home) throw new Error('There is no server.')
    await fillFolder(home, documents, progress, networks)
    progress(`${documents} documents are on the disk`)
    // The life of the server that is measured is not its first one, which reads all of them.
    await end(await readyServer(home))
    const server = await readyServer(home)
    progress('the server has been started twice, and has read the hash tree')
    const own = opening(name, server, 'open', every)
    try {
      await warmUp(own, unmeasured)
      const memory = new AnonymousMemory(server.pid)
      const [anonymous, resident, authenticationUs]: [number[], number[], number[]] = [[], [], []]
      for (let round = 1; round <= rounds; round++) {
        const first = unmeasured + 2 * (round - 1) * opens
        progress(`round ${round}, ${await take(own, first, opens)}`)
        authenticationUs.push((await costOf(own, 'authenticate', first, opens)).cpuUs)
        anonymous.push(memory.look())
        resident.push((await server.probe.ask({ what: 'read' })).residentBytes / 1024 / 1024)
        const [us, mebibytes] = [authenticationUs.at(-1), anonymous.at(-1)]
        progress(`round ${round}, authentication alone: ${us?.toFixed(0)} µs; memory ${mebibytes?.toFixed(0)} MiB`)
      }
      return [
        { name: `${name}: how many`, value: documents, unit: 'documents' },
        ...figuresOf(own, true),
        ...beyondAuthentication(own, authenticationUs),
        besideHocuspocus(own, () => hocuspocusPerSecond),
        figureOf(`${name}, memory without pages of files`, anonymous, 'MiB', { atMost: residentAtMostMebibytes }),
        figureOf(`${name}, memory with pages of files`, resident, 'MiB'),
      ]
    } finally {
      own.clients.end()
      await end(server)
    }
  } finally {
    for (const { link } of all) await link.close()
    await rm(root, { recursive: true, force: true })
  }
}

async function readyServer(home: ServerFolder): Promise<BenchServer> {
  const server = await start(home, {}, [], readyWithinMs)
  await server.log.seen('the hash tree', ({ event }) => event === 'reconciliation.ready', readyWithinMs)
  return server
}

async function end({ signal, log }: BenchServer): Promise<void> {
  signal('SIGTERM')
  await log.ended
}
