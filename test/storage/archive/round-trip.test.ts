/*
 * Proves: what is exported comes back as it was: objects, flags, folders, and every byte of media, whatever the values hold,
 * in both formats, in whatever pieces the archive travels, and also if another program has changed its line ends; and that it
 * never holds back more than a few pieces of it, however large the mailbox is. Fails if a value ends a header, a line that looks like a
 * boundary or like the beginning of a message is taken for one, or something is kept until the end.
 */
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { zipFormat } from '../../../src/adapters/zip-format.ts'
import type {
  ArchivedObject,
  ArchiveFormat,
  ArchiveLimits,
  ArchiveProgress,
} from '../../../src/storage/archive/archived.ts'
import { exportMailbox } from '../../../src/storage/archive/export-mailbox.ts'
import { importArchive } from '../../../src/storage/archive/import-archive.ts'
import { anySample, type Sample } from './any-object.ts'

const limits: ArchiveLimits = { maxMessageBytes: 1e9, maxBytes: 1e10, maxMessages: 1e7 }

async function* archivedOf(samples: readonly Sample[]): AsyncGenerator<ArchivedObject> {
  for (const { object, folder, media } of samples) {
    yield { object, ...(folder !== undefined && { folder }), media: withBytes() }
    async function* withBytes() {
      for (const [at, bytes] of media.entries()) {
        const one = object.media?.[at]
        if (one) yield { media: one, bytes: inPieces(bytes, 1_000) }
      }
    }
  }
}

async function* inPieces(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

const exported = async (samples: readonly Sample[], format: ArchiveFormat): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(exportMailbox(archivedOf(samples), { format, zip: zipFormat })))

async function imported(archive: AsyncIterable<Uint8Array>, format: ArchiveFormat): Promise<Sample[]> {
  const samples: Sample[] = []
  for await (const found of importArchive(archive, { format, zip: zipFormat, limits })) {
    if (found.kind === 'problem') throw new Error(JSON.stringify(found.problem))
    if (found.kind === 'foreign') throw new Error(`${found.where} is not known as ours`)
    const { object, folder, media } = found.archived
    const all: Buffer[] = []
    for await (const { bytes } of media) all.push(Buffer.concat(await Array.fromAsync(bytes ?? [])))
    samples.push({ object, ...(folder !== undefined && { folder }), media: all })
  }
  return samples
}

/** Flags are a set. */
const plain = ({ object, folder, media }: Sample) => ({
  object: { ...object, flags: object.flags.toSorted() },
  folder,
  media: media.map(bytes => Buffer.from(bytes).toString('base64')),
})

const someSamples = fc.uniqueArray(anySample, { maxLength: 4, selector: ({ object }) => object.id })

for (const format of ['mbox', 'zip'] as const) {
  test(`${format}: what is exported comes back as it was`, () =>
    fc.assert(
      fc.asyncProperty(someSamples, fc.integer({ min: 1, max: 70_000 }), async (samples, pieceBytes) => {
        const archive = await exported(samples, format)
        const back = await imported(inPieces(archive, format === 'zip' ? pieceBytes + 500 : pieceBytes + 20), format)
        assert.equal(back.map(plain), samples.map(plain))
      }),
      { numRuns: 40 },
    ))
}

test('line ends that another program has changed do no harm', () =>
  fc.assert(
    fc.asyncProperty(someSamples, async samples => {
      const archive = await exported(samples, 'mbox')
      const changed = Buffer.from(archive.toString('latin1').replaceAll('\n', '\r\n'), 'latin1')
      assert.equal((await imported(inPieces(changed, 10_000), 'mbox')).map(plain), samples.map(plain))
    }),
    { numRuns: 20 },
  ))

test('no line of an export is longer than mail may be, none is taken for the beginning of a message', () =>
  fc.assert(
    fc.asyncProperty(someSamples, async samples => {
      const lines = (await exported(samples, 'mbox')).toString('latin1').split('\n')
      for (const line of lines) {
        assert.ok(line.length <= 998, line)
        assert.not.match(line, /[^\t\x20-\x7e]/)
      }
      assert.is(lines.filter(line => line.startsWith('From ')).length, samples.length)
    }),
    { numRuns: 20 },
  ))

test('a media that cannot be had is said not to be there, and the object is kept', async () => {
  const sample = fc.sample(
    anySample.filter(({ media }) => media.length > 1),
    { numRuns: 1, seed: 7 },
  )[0]
  assert.ok(sample)
  async function* absent(): AsyncGenerator<ArchivedObject> {
    if (!sample) return
    async function* media() {
      for (const one of sample?.object.media ?? []) yield { media: one }
    }
    yield { object: sample.object, media: media() }
  }
  const archive = Array.fromAsync(exportMailbox(absent(), { format: 'mbox', zip: zipFormat }))
  const found = await imported(inPieces(Buffer.concat(await archive), 4_000), 'mbox')
  assert.equal(found[0]?.object.media, sample.object.media)
})

for (const format of ['mbox', 'zip'] as const) {
  test(`${format}: a large mailbox streams, with progress, holding back no more than a few pieces`, async () => {
    const [sample] = fc.sample(
      anySample.filter(({ object }) => object.type === 'message'),
      { numRuns: 1, seed: 3 },
    )
    assert.ok(sample)
    const piece = new Uint8Array(1 << 20).map((_, at) => Math.imul(at ^ (at >> 7), 0x9e37_79b1) >>> 24)
    const size = 6 << 20
    const media = { hash: 'x'.repeat(43), size, type: 'video/mp4' }
    const { text: _, ...object } = { ...sample.object, media: [media], size }
    let [made, seen, held] = [0, 0, 0]
    async function* mailbox(): AsyncGenerator<ArchivedObject> {
      for (let at = 0; at < 5; at++) {
        yield { object: { ...object, id: `${at}`.padStart(22, 'x') }, media: one() }
      }
    }
    async function* one() {
      yield { media, bytes: bytes() }
    }
    async function* bytes() {
      for (let at = 0; at < size >> 20; at++) {
        made += piece.length
        yield piece
      }
    }
    const progress: ArchiveProgress[] = []
    const archive = exportMailbox(mailbox(), { format, zip: zipFormat, progress: step => progress.push(step) })
    for await (const found of importArchive(archive, { format, zip: zipFormat, limits })) {
      assert.is(found.kind, 'object')
      if (found.kind !== 'object') continue
      for await (const { bytes } of found.archived.media) {
        for await (const part of bytes ?? []) {
          seen += part.length
          held = Math.max(held, made - seen)
        }
      }
    }
    assert.is(seen, 5 * size)
    assert.ok(held <= 4 << 20, `${held} bytes`)
    assert.equal(
      progress.map(({ objects }) => objects),
      [1, 2, 3, 4, 5],
    )
  })
}

test.run()
