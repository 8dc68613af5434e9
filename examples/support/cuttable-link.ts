import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A TCP path between two servers that can be cut at the socket, as a partition does, and healed again. */
export interface CuttableLink {
  /** Where to connect instead of the target. */
  readonly port: number
  /** Severs what is connected and refuses what comes. */
  cut(): void
  heal(): void
  close(): Promise<void>
}

/** A link to `targetPort` on loopback, through `port` (0 chooses a free one). */
export async function cuttableLink(targetPort: number, port = 0): Promise<CuttableLink> {
  const sockets = new Set<Socket>()
  let severed = false

  const track = (socket: Socket, other: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => other.destroy())
    socket.on('close', () => {
      sockets.delete(socket)
      other.destroy()
    })
  }
  const server = createServer(near => {
    if (severed) {
      near.on('error', () => {}).resetAndDestroy()
      return
    }
    const far = connect(targetPort, '127.0.0.1')
    track(near, far)
    track(far, near)
    near.pipe(far)
    far.pipe(near)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const sever = () => {
    for (const socket of sockets) socket.destroy()
  }

  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      severed = true
      sever()
    },
    heal() {
      severed = false
    },
    async close() {
      sever()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/**
 * Below those that systems give to connections as they come: a server that starts again must find its port free. Processes that
 * run at once draw from hundreds of their own.
 */
const firstPort = 20_000
const portsOfProcess = 100
const processes = 120
let drawn = 0

/** A port of loopback that nobody listens on at the moment, each time another one. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < portsOfProcess; tries++) {
    const port = firstPort + (process.pid % processes) * portsOfProcess + (drawn++ % portsOfProcess)
    if (await isFree(port)) return port
  }
  throw new Error('All ports that this process may take are in use.')
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise(resolve => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
