import { connect, type Socket } from 'node:net'

/*
 * The client's end of a websocket, by hand over a TCP socket: a tenth of what a library takes, in time and in memory, so that
 * one process can be ten thousand clients, or very many a second. It speaks what servers do that are measured, and no more:
 * whole frames, pings, the closing handshake. Frames are masked with zeros, which RFC 6455 has servers take like any other mask.
 */

export interface RawSocketEvents {
  open(): void
  text?(text: string): void
  binary?(bytes: Buffer): void
  /** Once. `code`: of the closing frame; the status of a refused upgrade; 0 when the connection just ended. */
  closed(code: number): void
}

export interface RawSocket {
  send(frame: string | Uint8Array): void
  /** Ends it in order: the server hears of it at once. */
  close(): void
}

export interface Address {
  readonly host: string
  readonly port: number
  /** One of the loopback's 16 million addresses, so that the clients of one machine come from different ones. */
  readonly localAddress: string
}

const opcodes = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
const final = 0x80
const masked = 0x80
const none = Buffer.alloc(0)

/** @param subprotocol '' for none */
export function openRawSocket(to: Address, path: string, subprotocol: string, events: RawSocketEvents): RawSocket {
  let pending: Buffer = none
  let isOpen = false
  let closing = 0
  let isOver = false
  const socket: Socket = connect({ ...to, noDelay: true })
  socket.on('connect', () => socket.write(upgrade(to, path, subprotocol)))
  socket.on('data', take)
  socket.on('error', () => {})
  socket.on('close', () => {
    if (isOver) return
    isOver = true
    events.closed(closing)
  })

  function take(data: Buffer): void {
    pending = pending.length === 0 ? data : Buffer.concat([pending, data])
    if (!isOpen && !opened()) return
    for (let frame = nextFrame(pending); frame; frame = nextFrame(pending)) {
      pending = pending.subarray(frame.end)
      handle(frame.opcode, frame.payload)
    }
    // What is left is copied out of the buffer that it came in: a client that idles is not to hold on to it.
    pending = pending.length === 0 ? none : Buffer.from(pending)
  }

  /** The answer to the upgrade, if all of it is there. */
  function opened(): boolean {
    const end = pending.indexOf('\r\n\r\n')
    if (end < 0) return false
    const status = Number(pending.toString('latin1', 9, 12))
    pending = pending.subarray(end + 4)
    if (status !== 101) {
      closing = status
      socket.destroy()
      return false
    }
    isOpen = true
    events.open()
    return true
  }

  function handle(opcode: number, payload: Buffer): void {
    switch (opcode) {
      case opcodes.text:
        events.text?.(payload.toString())
        break
      case opcodes.binary:
        events.binary?.(payload)
        break
      case opcodes.ping:
        socket.write(frameOf(opcodes.pong, payload))
        break
      case opcodes.close:
        closing = payload.length >= 2 ? payload.readUInt16BE(0) : 1005
        socket.end(frameOf(opcodes.close, payload.subarray(0, 2)))
    }
  }

  return {
    send: frame =>
      void socket.write(
        typeof frame === 'string'
          ? frameOf(opcodes.text, Buffer.from(frame))
          : frameOf(opcodes.binary, Buffer.from(frame)),
      ),
    close() {
      if (isOpen) socket.end(frameOf(opcodes.close, none))
      else socket.destroy()
    },
  }
}

const upgrade = ({ host, port }: Address, path: string, subprotocol: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n` +
  `${subprotocol === '' ? '' : `Sec-WebSocket-Protocol: ${subprotocol}\r\n`}\r\n`

function nextFrame(bytes: Buffer): { opcode: number; payload: Buffer; end: number } | undefined {
  if (bytes.length < 2) return undefined
  const short = bytes.readUInt8(1) & 0x7f
  const head = short === 126 ? 4 : short === 127 ? 10 : 2
  if (bytes.length < head) return undefined
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
  const end = head + length
  if (bytes.length < end) return undefined
  return { opcode: bytes.readUInt8(0) & 0x0f, payload: bytes.subarray(head, end), end }
}

function frameOf(opcode: number, payload: Buffer): Buffer {
  const length = payload.length
  const isLong = length >= 126
  if (length > 0xffff) throw new RangeError('These clients send short frames only.')
  const head = isLong ? 8 : 6
  const frame = Buffer.alloc(head + length)
  frame.writeUInt8(final | opcode, 0)
  if (isLong) {
    frame.writeUInt8(masked | 126, 1)
    frame.writeUInt16BE(length, 2)
  } else frame.writeUInt8(masked | length, 1)
  payload.copy(frame, head)
  return frame
}
