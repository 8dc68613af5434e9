import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/*
 * LevelDB keeps its newest batches in a journal (`<number>.log`) and replays it when it is opened. What does not match its
 * checksum it drops without a word, together with what follows in the same 32 KiB: a flipped bit there silently takes back
 * acknowledged commits. So the journal is checked first.
 *
 * At the very end a damaged batch is what a power cut leaves of a write that nobody was told of, and may be dropped. But the
 * store writes one batch at a time, and only after the one before was synced: where another batch begins after the
 * damage, what was damaged had been acknowledged.
 */

const blockBytes = 32 * 1024
/** Checksum (4), length (2), type (1). */
const headerBytes = 7
/** Types of fragment with which a batch begins: all of it, or its first part. */
const whole = 1
const beginning = 2

/** Where acknowledged data is damaged in the journal of the database in `folder`, or `undefined`. */
export async function journalDamage(
  folder: string,
): Promise<{ readonly file: string; readonly at: number } | undefined> {
  let damage: { readonly file: string; readonly at: number } | undefined
  for (const file of await journalFiles(folder))
    for (const { at, isValid, beginsBatch } of fragments(await readFile(join(folder, file)))) {
      if (!isValid) damage ??= { file, at }
      else if (damage && beginsBatch) return damage
    }
  return undefined
}

/** In the order of their numbers. A folder that is not there holds none. */
async function journalFiles(folder: string): Promise<string[]> {
  const files = (await readdir(folder)).filter(name => /^\d+\.log$/.test(name))
  return files.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
}

interface Fragment {
  readonly at: number
  readonly isValid: boolean
  readonly beginsBatch: boolean
}

/** The fragments of a journal. After one whose length cannot be right, the next block is tried. */
function* fragments(journal: Buffer): Generator<Fragment> {
  let at = 0
  while (at < journal.length) {
    const blockEnd = Math.min(journal.length, at - (at % blockBytes) + blockBytes)
    const from = at + headerBytes
    // A block's last bytes are left empty when not even a header fits.
    if (from > at - (at % blockBytes) + blockBytes) {
      at = blockEnd
      continue
    }
    const end = from > blockEnd ? Number.POSITIVE_INFINITY : from + journal.readUInt16LE(at + 4)
    const type = journal[at + 6] ?? 0
    if (end > blockEnd || type === 0) {
      yield { at, isValid: false, beginsBatch: false }
      at = blockEnd
      continue
    }
    const isValid = journal.readUInt32LE(at) === masked(crc32c(journal.subarray(at + 6, end)))
    yield { at, isValid, beginsBatch: type === whole || type === beginning }
    at = end
  }
}

/** LevelDB stores checksums so, as data that contains checksums would otherwise have weak ones. */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

/** CRC-32C (Castagnoli), as LevelDB uses it. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (let at = 0; at < bytes.length; at++)
    crc = (crcTable[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}
