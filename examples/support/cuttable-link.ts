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

/** A port of loopback that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}
