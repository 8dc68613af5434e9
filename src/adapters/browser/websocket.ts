import { ConnectFailed, type Socket, type SocketEvents, type SocketFactory } from '../../ports/client-sockets.ts'

/**
 * Websockets by the platform's own `WebSocket`, as browsers have it. They tell a page nothing of why a connection failed,
 * so neither does {@link ConnectFailed} here.
 */
export const browserWebsocket = (options: { readonly timeoutMs?: number } = {}): SocketFactory => ({
  connect: (url, subprotocols) =>
    new Promise<Socket>((resolve, reject) => {
      const websocket = new WebSocket(url, [...subprotocols])
      websocket.binaryType = 'arraybuffer'
      const socket = socketOf(websocket)
      const timer = setTimeout(() => {
        reject(new ConnectFailed(`${url} does not answer.`))
        websocket.close()
      }, options.timeoutMs ?? 10_000)
      websocket.addEventListener('open', () => {
        clearTimeout(timer)
        resolve(socket)
      })
      websocket.addEventListener('close', () => {
        clearTimeout(timer)
        reject(new ConnectFailed(`${url} cannot be reached.`))
      })
    }),
})

function socketOf(websocket: WebSocket): Socket {
  const early: (() => void)[] = []
  let events: SocketEvents | undefined

  const arrive = (deliver: () => void) => {
    if (events) deliver()
    else early.push(deliver)
  }
  websocket.addEventListener('message', ({ data }: MessageEvent<string | ArrayBuffer>) =>
    arrive(() => events?.message(typeof data === 'string' ? data : new Uint8Array(data))),
  )
  websocket.addEventListener('close', ({ code, reason }) => arrive(() => events?.closed(code, reason)))

  return {
    send(frame) {
      if (websocket.readyState !== WebSocket.OPEN) return
      websocket.send(typeof frame === 'string' ? frame : new Uint8Array(frame))
    },
    bufferedBytes: () => websocket.bufferedAmount,
    close: (code, reason) => websocket.close(code, reason),
    listen(listener) {
      events = listener
      for (const deliver of early.splice(0)) deliver()
    },
  }
}
