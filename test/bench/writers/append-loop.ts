import { open } from 'node:fs/promises'

/** About what an entry of one short text takes on the disk, with its signature. */
const recordBytes = 512

/** Appends so many records at once to a file, makes them durable, and begins again. Answers how many a second. */
export async function appendLoop(file: string, together: number, forMs: number): Promise<number> {
  const group = Buffer.alloc(together * recordBytes, 1)
  const handle = await open(file, 'a')
  try {
    const beganMs = performance.now()
    let records = 0
    for (; performance.now() < beganMs + forMs; records += together) {
      await handle.write(group)
      await handle.datasync()
    }
    return (1000 * records) / (performance.now() - beganMs)
  } finally {
    await handle.close()
  }
}
