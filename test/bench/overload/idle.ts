import { setTimeout as delay } from 'node:timers/promises'
import type { Figure } from '../bench.ts'
import type { BareAnswer } from './bare-server.child.ts'
import { folders, start } from './bench-server.ts'
import { startChild } from './child.ts'
import type { CrowdAnswer, CrowdOrder } from './crowd.child.ts'

/*
 * What a client that is there and says nothing takes of a server's memory, beside what a websocket takes of a server that does
 * nothing else. Both are compared by how much more they have resident with so many clients, after garbage was collected.
 */

const settleMs = 3_000

export async function idle(root: string, isQuick: boolean, progress: (line: string) => void): Promise<Figure[]> {
  const clients = isQuick ? 1_000 : 5_000
  const own = await ofServer(root, clients)
  progress(`${clients} idle clients: ${own.toFixed(1)} KiB each`)
  const bare = await ofBare(clients)
  progress(`${clients} bare websockets: ${bare.toFixed(1)} KiB each`)
  return [
    { name: 'idle client, resident', value: own, unit: 'KiB' },
    { name: 'bare websocket, resident', value: bare, unit: 'KiB' },
    { name: 'idle client beside a bare websocket', value: own / bare, unit: '×', atMost: 2 },
  ]
}

/** The first few hundred have everything compiled and every pool filled. */
const warmUp = 300

async function ofServer(root: string, clients: number): Promise<number> {
  const identities = Array.from({ length: clients + warmUp }, (_, index) => `client-${index}`)
  const [home] = await folders(root, 1, identities)
  if (!home) throw new Error('There is no server.')
  const server = await start(home, {}, ['--expose-gc'])
  const crowds = [crowd(), crowd()] as const
  try {
    const resident = async () => {
      await delay(settleMs)
      return (await server.probe.ask({ what: 'collect' })).residentBytes
    }
    await crowds[0].ask({
      what: 'open',
      ports: [server.port],
      spread: [warmUp],
      identities: identities.slice(0, warmUp),
    })
    const before = await resident()
    await crowds[1].ask({ what: 'open', ports: [server.port], spread: [clients], identities: identities.slice(warmUp) })
    return ((await resident()) - before) / 1024 / clients
  } finally {
    for (const each of crowds) each.end()
    server.signal('SIGKILL')
    await server.log.ended
    await home.link.close()
  }
}

const crowd = () => startChild<CrowdOrder, CrowdAnswer>('crowd.child.ts')

async function ofBare(clients: number): Promise<number> {
  const server = startChild<'port' | 'collect', BareAnswer>('bare-server.child.ts', ['--expose-gc'])
  const crowds = [crowd(), crowd()] as const
  try {
    const { port } = await server.ask('port')
    const resident = async () => {
      await delay(settleMs)
      return (await server.ask('collect')).residentBytes
    }
    await crowds[0].ask({ what: 'openBare', port, count: warmUp })
    const before = await resident()
    await crowds[1].ask({ what: 'openBare', port, count: clients })
    return ((await resident()) - before) / 1024 / clients
  } finally {
    for (const each of crowds) each.end()
    server.end()
  }
}
