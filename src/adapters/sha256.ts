import { createHash } from 'node:crypto'
import type { StreamingHash } from '../ports/http-client.ts'

export const nodeSha256 = (): StreamingHash => {
  const hash = createHash('sha256')
  return { update: bytes => void hash.update(bytes), digest: () => new Uint8Array(hash.digest()) }
}
