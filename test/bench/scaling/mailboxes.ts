import { join } from 'node:path'
import { median } from '../bench.ts'
import { big, fill, incrementalSyncs, partObjects } from '../big-mailbox.ts'
import { register, storageServer } from '../storage-server.ts'
import { constant, type Panel, type Point } from './series.ts'

/** What a mailbox of more and more objects takes to be kept in step with: ten changes at a time, each ten followed by a sync. */
export async function byObjects(
  sizes: readonly number[],
  root: string,
  progress: (line: string) => void,
): Promise<Panel> {
  const costs: Point[] = []
  const bytes: Point[] = []
  for (const size of sizes) {
    const server = await storageServer(join(root, `mailbox-${size}`))
    try {
      await register(server, big.user)
      const parts = Math.ceil(size / partObjects)
      await fill(server, parts, () => {})
      const { cpuMs, shares } = await incrementalSyncs(server, parts)
      costs.push({ size, value: median(cpuMs) })
      bytes.push({ size, value: median(shares) })
      progress(
        `${size} objects: ${median(cpuMs).toFixed(2)} ms of processor for ten changes, ${median(shares).toFixed(2)} times their bytes`,
      )
    } finally {
      await server.close()
    }
  }
  return {
    size: 'objects in a mailbox',
    series: [
      { what: 'sync of ten changes', unit: 'ms', points: costs, slopeAtMost: constant },
      { what: 'sync of ten changes', unit: '× their bytes', points: bytes, slopeAtMost: constant },
    ],
  }
}
