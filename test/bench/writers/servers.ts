import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ServerFolder } from '../../../examples/support/operators.ts'
import { startPeer } from '../fan-out/peer-process.ts'
import { folders, start } from '../overload/bench-server.ts'
import type { Child } from '../overload/child.ts'
import type { ProbeAnswer, ProbeOrder } from '../overload/loop-probe.ts'
import type { Protocol } from './writers.child.ts'

/* Servers that are measured side by side, each of which can be started again on what it has left on the disk. */

export interface ServerKind {
  readonly name: string
  readonly protocol: Protocol
  start(nodeOptions?: readonly string[]): Promise<RunningServer>
  /** When it is not needed any more. */
  close(): Promise<void>
}

export interface RunningServer {
  readonly pid: number
  readonly port: number
  readonly probe: Child<ProbeOrder, ProbeAnswer>
  /** By SIGKILL; resolves when it has ended. */
  kill(): Promise<void>
}

/**
 * @param clients how many there are, each a subscriber
 * @param fill puts documents into the folder before the server runs
 * @param settings dotted, beside those that are usual
 */
export async function ours(
  root: string,
  clients: number,
  fill: (home: ServerFolder) => Promise<void> = async () => {},
  settings: Readonly<Record<string, number>> = {},
): Promise<ServerKind> {
  const identities = Array.from({ length: clients }, (_, index) => `client-${index}`)
  const [home] = await folders(join(root, 'ours'), 1, identities)
  if (!home) throw new Error('There is no server.')
  await fill(home)
  return {
    ...{ name: 'this server', protocol: 'ours' },
    async start(nodeOptions) {
      const { pid, port, probe, signal, log } = await start(home, settings, nodeOptions)
      return {
        ...{ pid, port, probe },
        async kill() {
          signal('SIGKILL')
          await log.ended
        },
      }
    },
    close: () => home.link.close(),
  }
}

export const bare = (): Promise<ServerKind> => peer('bare ws', 'bare', 'bare.mjs')

const yWebsocketScript = 'node_modules/y-websocket/bin/server.cjs'

export const yWebsocket = (): Promise<ServerKind> => peer('y-websocket in memory', 'yWebsocket', yWebsocketScript)

export const yWebsocketOnDisk = (root: string): Promise<ServerKind> =>
  peer('y-websocket with LevelDB', 'yWebsocket', yWebsocketScript, root, folder => ({ YPERSISTENCE: folder }))

export const hocuspocus = (root: string): Promise<ServerKind> =>
  peer('hocuspocus with SQLite', 'hocuspocus', 'hocuspocus.mjs', root, folder => ({ DATA: join(folder, 'sqlite') }))

export const automerge = (root: string): Promise<ServerKind> =>
  peer('automerge-repo with files', 'automerge', 'automerge.mjs', root, folder => ({ DATA: folder }))

async function peer(
  name: string,
  protocol: Protocol,
  script: string,
  root?: string,
  environment: (folder: string) => Readonly<Record<string, string>> = () => ({}),
): Promise<ServerKind> {
  const folder = root === undefined ? '' : join(root, name.replaceAll(' ', '-'))
  if (folder !== '') await mkdir(folder)
  return {
    ...{ name, protocol },
    async start(nodeOptions) {
      const { pid, port, probe, stop } = await startPeer(script, environment(folder), nodeOptions)
      return { pid, port, probe, kill: stop }
    },
    close: async () => {},
  }
}
