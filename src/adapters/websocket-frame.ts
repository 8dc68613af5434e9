/*
 * A server's frames as RFC 6455 §5.2 has them on the wire: whole, and unmasked (§5.1), so that they are the same bytes for whoever
 * they go to. What is sent to many is made once, and each of them takes one write of one piece of memory.
 */

const final = 0x80
const text = 0x1
const binary = 0x2
/** Lengths up to here stand in the second byte; these two there say that 16, or 64, bits of length follow. */
const longestShort = 125
const length16 = 126
const length64 = 127

/** The binary frame that was made last, as what was given and as what came of it. */
let last: { readonly payload: Uint8Array; readonly frame: Buffer } | undefined

/** A data frame: text of a string, else binary. Of the same bytes again and again it is made once; they are not to be changed. */
export function frameOf(payload: string | Uint8Array): Buffer {
  if (typeof payload === 'string') return textFrame(payload)
  if (last?.payload === payload) return last.frame
  // It is not to be held on to: who sends it to many does so in one turn of the event loop.
  if (!last) setImmediate(forget)
  last = { payload, frame: binaryFrame(payload) }
  return last.frame
}

function forget(): void {
  last = undefined
}

function textFrame(payload: string): Buffer {
  const bytes = Buffer.byteLength(payload)
  const frame = framed(text, bytes)
  frame.write(payload, frame.length - bytes)
  return frame
}

function binaryFrame(payload: Uint8Array): Buffer {
  const frame = framed(binary, payload.length)
  frame.set(payload, frame.length - payload.length)
  return frame
}

/** Room for a frame, its head written. */
function framed(opcode: number, bytes: number): Buffer {
  if (bytes <= longestShort) {
    const frame = Buffer.allocUnsafe(2 + bytes)
    frame[1] = bytes
    frame[0] = final | opcode
    return frame
  }
  const isLong = bytes > 0xffff
  const frame = Buffer.allocUnsafe((isLong ? 10 : 4) + bytes)
  frame[0] = final | opcode
  frame[1] = isLong ? length64 : length16
  if (isLong) frame.writeBigUInt64BE(BigInt(bytes), 2)
  else frame.writeUInt16BE(bytes, 2)
  return frame
}
