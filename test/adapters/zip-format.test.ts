/*
 * Proves: what is packed comes out again, whatever it is and in whatever pieces it travels, and other programs read it; what
 * others pack is read; a damaged file is said to be, and those after it are read where that can be; however small a bomb is,
 * no more of it is unpacked than was allowed. Fails if a byte that lies is believed, if a cut or changed archive throws, or if
 * an entry is read on past its limit.
 */
import * as fc from 'fast-check'
import { unzipSync, Zip, ZipDeflate, ZipPassThrough, zipSync } from 'fflate'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { zipFormat } from '../../src/adapters/zip-format.ts'
import type { ZipEntry, ZipEvent, ZipLimits } from '../../src/ports/zip-format.ts'

const generous: ZipLimits = { maxEntryBytes: 1e9, maxBytes: 1e9, maxEntries: 1e6 }

async function* inPieces(bytes: Uint8Array, pieceBytes = 1 << 16): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

type File = readonly [name: string, bytes: Uint8Array]
async function* entriesOf(files: readonly File[], pieceBytes?: number): AsyncGenerator<ZipEntry> {
  for (const [name, bytes] of files) yield { name, modified: 1_795_000_000_000, bytes: inPieces(bytes, pieceBytes) }
}

async function all(bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(bytes))
}

/** What lies in an archive, and what was said of it. */
async function read(archive: Uint8Array, limits = generous, pieceBytes?: number) {
  const files: { name: string; bytes: Buffer; problem?: string }[] = []
  let problem: string | undefined
  const told = (event: Extract<ZipEvent, { kind: 'problem' }>) => {
    const file = files.at(-1)
    if (event.of === 'entry' && file) file.problem = event.cause
    else problem = event.cause
  }
  const pieces = new Map<number, Uint8Array[]>()
  for await (const event of zipFormat.read(inPieces(archive, pieceBytes), limits)) {
    if (event.kind === 'entry') files.push({ name: event.name, bytes: Buffer.alloc(0) })
    else if (event.kind === 'problem') told(event)
    else pieces.set(files.length - 1, [...(pieces.get(files.length - 1) ?? []), event.bytes])
  }
  for (const [at, file] of files.entries()) file.bytes = Buffer.concat(pieces.get(at) ?? [])
  return { files, problem }
}

const pack = (files: readonly File[], pieceBytes?: number) => all(zipFormat.write(entriesOf(files, pieceBytes)))
const noise = (lengthBytes: number, seed = 1) => {
  const bytes = new Uint8Array(lengthBytes)
  for (let at = 0, state = seed; at < lengthBytes; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    bytes[at] = state >>> 24
  }
  return bytes
}

const someFiles = fc.uniqueArray(
  fc.tuple(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter(name => !name.endsWith('/')),
    fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(fc.integer({ min: 60_000, max: 200_000 }), fc.nat()).map(([length, seed]) => noise(length, seed)),
    ),
  ),
  { selector: ([name]) => name, maxLength: 5 },
)

test('what is packed is unpacked, here and by another program', () =>
  fc.assert(
    fc.asyncProperty(someFiles, fc.integer({ min: 1_000, max: 100_000 }), async (files, pieceBytes) => {
      const archive = await pack(files, pieceBytes)
      const { files: found, problem } = await read(archive, generous, pieceBytes)
      assert.is(problem, undefined)
      assert.equal(
        found.map(({ name, bytes, problem }) => [name, bytes.toString('base64'), problem]),
        files.map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64'), undefined]),
      )
      const elsewhere = unzipSync(archive)
      assert.is(Object.keys(elsewhere).length, files.length)
      for (const [name, bytes] of files) assert.ok(Buffer.from(bytes).equals(elsewhere[name] ?? noise(1)), name)
    }),
    { numRuns: 40 },
  ))

test('reads an archive byte by byte', async () => {
  const files: File[] = [
    ['a', noise(1_000)],
    ['b', noise(10)],
  ]
  const { files: found, problem } = await read(await pack(files), generous, 1)
  assert.equal([found.length, problem], [2, undefined])
  assert.ok(found.every(({ bytes }, at) => bytes.equals(files[at]?.[1] ?? noise(0))))
})

test('reads what another program packed, with lengths before or behind', async () => {
  const text = Buffer.from('From the other side\n'.repeat(9_000))
  const { files: before } = await read(
    zipSync({ folder: { 'a.eml': [text, { level: 6 }], 'b.eml': [text, { level: 0 }] } }),
  )
  assert.equal(before.map(({ name }) => name).sort(), ['folder/a.eml', 'folder/b.eml'])
  assert.ok(before.every(({ bytes }) => bytes.equals(text)))
  const pieces: Uint8Array[] = []
  const zip = new Zip((_, piece) => void pieces.push(piece))
  const streamed = new ZipDeflate('streamed.eml', { level: 6 })
  zip.add(streamed)
  streamed.push(text, true)
  zip.end()
  assert.ok((await read(Buffer.concat(pieces))).files[0]?.bytes.equals(text))
})

test('a file whose end cannot be told is not supported, and said so', async () => {
  const pieces: Uint8Array[] = []
  const zip = new Zip((_, piece) => void pieces.push(piece))
  const plain = new ZipPassThrough('plain.eml')
  zip.add(plain)
  plain.push(noise(100), true)
  zip.end()
  assert.is((await read(Buffer.concat(pieces))).problem, 'unsupported')
})

test('a changed byte is found out, and the files after it are read if the length is known', async () => {
  const files: File[] = [
    ['a', noise(5_000)],
    ['b', noise(5_000, 2)],
  ]
  const archive = Buffer.from(await pack(files))
  archive[2_000] = (archive[2_000] ?? 0) ^ 0xff
  const { files: found } = await read(archive)
  assert.equal(
    found.map(({ name, problem }) => [name, problem]),
    [
      ['a', 'damaged'],
      ['b', undefined],
    ],
  )
  assert.ok(found[1]?.bytes.equals(noise(5_000, 2)))
})

test('whatever is done to an archive, reading it ends and does not throw', async () => {
  const archive = await pack([
    ['a', noise(300)],
    ['b', noise(80_000)],
    ['c', Buffer.alloc(200_000)],
  ])
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: archive.length }),
      fc.array(fc.tuple(fc.nat({ max: archive.length - 1 }), fc.nat({ max: 255 })), { maxLength: 4 }),
      async (cut, changes) => {
        const bytes = Buffer.from(archive)
        for (const [at, value] of changes) bytes[at] = value
        await read(bytes.subarray(0, cut), { ...generous, maxEntryBytes: 250_000 })
      },
    ),
    { numRuns: 150 },
  )
})

test('a cut archive is said to be cut', async () => {
  const archive = await pack([['a', noise(80_000)]])
  assert.is((await read(archive.subarray(0, 50_000))).problem, 'truncated')
  assert.is((await read(archive.subarray(0, 12))).problem, 'truncated')
})

test('what is no archive is said not to be', async () => {
  for (const bytes of [noise(0), noise(3), noise(1_000), Buffer.from('From a@b\n')]) {
    assert.is((await read(bytes)).problem, 'not-an-archive')
  }
  assert.equal(await read(await pack([])), { files: [], problem: undefined })
})

test('a bomb is unpacked no further than its limit', async () => {
  const zeros = Buffer.alloc(50_000_000)
  const archive = await pack([
    ['a', zeros],
    ['b', zeros],
  ])
  assert.ok(archive.length < 200_000)
  const unpacked = (files: readonly { bytes: Buffer }[]) => files.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const whole = await read(archive, { ...generous, maxBytes: 1_000_000 })
  assert.is(whole.problem, 'too-large')
  assert.ok(unpacked(whole.files) <= 1_000_000)
  const each = await read(archive, { ...generous, maxEntryBytes: 1_000_000 })
  assert.ok(unpacked(each.files) <= 1_000_000, `${unpacked(each.files)}`)
  const many = await read(await pack([...Array(20).keys()].map(at => [`${at}`, noise(1)] as const)), {
    ...generous,
    maxEntries: 10,
  })
  assert.equal([many.files.length, many.problem], [10, 'too-large'])
})

test('who stops reading or writing leaves nothing open', async () => {
  let isClosed = false
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      while (true) yield noise(100_000)
    } finally {
      isClosed = true
    }
  }
  async function* entries(): AsyncGenerator<ZipEntry> {
    yield { name: 'endless', modified: 0, bytes: endless() }
  }
  for await (const piece of zipFormat.write(entries())) if (piece.length > 1_000) break
  assert.ok(isClosed)
})

test.run()
