import type { Deflate, InflateRaw } from 'node:zlib'

/**
 * Resolves when a packer or unpacker has taken a piece, with all that it gives for it read. A stream that is destroyed
 * meanwhile does not say so to who writes. @throws when it is
 */
export const written = (stream: Deflate | InflateRaw, piece: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    const closed = () => reject(new Error('Nobody reads any more.'))
    if (stream.destroyed) return closed()
    stream.once('close', closed)
    stream.write(piece, error => {
      stream.off('close', closed)
      if (error) reject(error)
      else resolve()
    })
  })
