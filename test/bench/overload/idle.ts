import { setTimeout as delay } from 'node:timers/promises'
import type { Figure } from '../bench.ts'
import type { BareAnswer } from './bare-server.child.ts'
import { folders, nodeFlags, start } from './bench-server.ts'
import { type Child, startChild } from './child.ts'
import type { CrowdAnswer, CrowdOrder } from './crowd.child.ts'
import type { ProbeAnswer } from './loop-probe.ts'

/*
 * What a client that is there and says nothing takes of a server's memory, beside what a websocket takes of a server that does
 * nothing else; and what is left of it when they have gone. Measured after garbage was collected, as how much more is in use with
 * so many clients, and how much more is resident: of that, part is room that was there before, and what is not used any more is
 * the engine's and the system's to give back.
 */

const settleMs = 3_000
/** The first few hundred have everything compiled and every pool filled. */
const warmUp = 300

/** Of one client. */
interface Taken {
  readonly usedKiB: number
  readonly residentKiB: number
  /** In use when they have left, % of before. */
  readonly leftPercent: number
}

type Memory = Pick<ProbeAnswer, 'residentBytes' | 'heapBytes'>

export async function idle(root: string, isQuick: boolean, progress: (line: string) => void): Promise<Figure[]> {
  const clients = isQuick ? 1_000 : 5_000
  const own = await ofServer(root, clients)
  progress(`${clients} idle clients: ${said(own)}`)
  const bare = await ofBare(clients)
  progress(`${clients} bare websockets: ${said(bare)}`)
  return [
    { name: 'idle client, memory in use', value: own.usedKiB, unit: 'KiB' },
    { name: 'the same, resident', value: own.residentKiB, unit: 'KiB', atMost: 20 },
    { name: 'bare websocket, memory in use', value: bare.usedKiB, unit: 'KiB' },
    { name: 'the same, resident', value: bare.residentKiB, unit: 'KiB' },
    { name: 'idle client beside a bare websocket, in use', value: own.usedKiB / bare.usedKiB, unit: '×', atMost: 2 },
    { name: 'memory in use after idle clients have left', value: own.leftPercent, unit: '% of before', atMost: 110 },
  ]
}

const said = ({ usedKiB, residentKiB, leftPercent }: Taken): string =>
  `${usedKiB.toFixed(1)} KiB each in use, ${residentKiB.toFixed(1)} resident; when they have left ${leftPercent.toFixed(1)} % of before in use`

async function ofServer(root: string, clients: number): Promise<Taken> {
  const identities = Array.from({ length: clients + warmUp }, (_, index) => `client-${index}`)
  const [home] = await folders(root, 1, identities)
  if (!home) throw new Error('There is no server.')
  const server = await start(home, {}, ['--expose-gc'])
  const open = (crowd: Crowd, some: readonly string[]) =>
    crowd.ask({ what: 'open', ports: [server.port], spread: [some.length], identities: some })
  try {
    return await taken(
      clients,
      crowd => open(crowd, identities.slice(0, warmUp)),
      crowd => open(crowd, identities.slice(warmUp)),
      () => server.probe.ask({ what: 'collect' }),
    )
  } finally {
    server.signal('SIGKILL')
    await server.log.ended
    await home.link.close()
  }
}

async function ofBare(clients: number): Promise<Taken> {
  const server = startChild<'port' | 'collect', BareAnswer>('bare-server.child.ts', [...nodeFlags, '--expose-gc'])
  try {
    const { port } = await server.ask('port')
    return await taken(
      clients,
      crowd => crowd.ask({ what: 'openBare', port, count: warmUp }),
      crowd => crowd.ask({ what: 'openBare', port, count: clients }),
      () => server.ask('collect'),
    )
  } finally {
    server.end()
  }
}

type Crowd = Child<CrowdOrder, CrowdAnswer>

async function taken(
  clients: number,
  warm: (crowd: Crowd) => Promise<unknown>,
  fill: (crowd: Crowd) => Promise<unknown>,
  collected: () => Promise<Memory>,
): Promise<Taken> {
  const first = startChild<CrowdOrder, CrowdAnswer>('crowd.child.ts')
  const second = startChild<CrowdOrder, CrowdAnswer>('crowd.child.ts')
  const settled = async () => {
    await delay(settleMs)
    return collected()
  }
  try {
    await warm(first)
    const before = await settled()
    await fill(second)
    const during = await settled()
    second.end()
    const after = await settled()
    const each = (of: keyof Memory) => (during[of] - before[of]) / 1024 / clients
    return {
      usedKiB: each('heapBytes'),
      residentKiB: each('residentBytes'),
      leftPercent: (100 * after.heapBytes) / before.heapBytes,
    }
  } finally {
    first.end()
    second.end()
  }
}
