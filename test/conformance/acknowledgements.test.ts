/*
 * Property: the reader of traces finds each way in which an acknowledgement can leave before what it promises is safe, and
 * no other. Without this the proof of durability could pass because it sees nothing.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Acknowledgement, broken } from './acknowledgements.ts'
import { parseSystemCalls } from './system-calls.ts'

const test = suite('acknowledgements in a trace')
const hex = (bytes: Uint8Array | string) =>
  [...Buffer.from(bytes)].map(byte => `\\x${byte.toString(16).padStart(2, '0')}`).join('')

/** A journal's bytes as LevelDB lays them out; checksums are nobody's business here. */
function journalOf(...batches: readonly string[]): Buffer {
  let content = Buffer.alloc(0)
  for (const batch of batches) {
    let left = Buffer.from(batch)
    for (let isFirst = true; isFirst || left.length > 0; isFirst = false) {
      const room = 32_768 - (content.length % 32_768)
      if (room < 7) content = Buffer.concat([content, Buffer.alloc(room)])
      const part = left.subarray(0, (room < 7 ? 32_768 : room) - 7)
      left = left.subarray(part.length)
      const header = Buffer.alloc(7)
      header.writeUInt16LE(part.length, 4)
      header.writeUInt8((isFirst ? 1 : 3) + (left.length > 0 ? (isFirst ? 1 : 0) : isFirst ? 0 : 1), 6)
      content = Buffer.concat([content, header, part])
    }
  }
  return content
}

const journal = `23<${hex('/data/000003.log')}>`
const socket = `27<${hex('socket:[4711]')}>`
const store = (thread: number, bytes: Uint8Array, result = ` = ${bytes.length}`) =>
  `${thread} write(${journal}, "${hex(bytes)}", ${bytes.length}${result.startsWith(' <') ? result : `)${result}`}`
const flush = (thread: number, result = ')            = 0') => `${thread} fdatasync(${journal}${result}`
const said = '{"result":{"pnId":"home"}}'
const answer = (thread: number) =>
  `${thread} writev(${socket}, [{iov_base="${hex('\x81\x1a')}", iov_len=2}, {iov_base="${hex(said)}", iov_len=26}], 2) = 28`

const batch = journalOf('... pn/a.example/home ...')
const promise: Acknowledgement = {
  what: 'home',
  said: ['"result"', '"pnId":"home"'],
  stored: [Buffer.from('pn/a.example/home')],
}
const judged = (...lines: readonly string[]) => broken([promise], parseSystemCalls(lines.join('\n')))

test('written, flushed, acknowledged', () => {
  assert.equal(judged(store(2, batch), flush(2), answer(1)), [])
})

test('written and flushed while other threads are at work', () => {
  const lines = [
    store(2, batch, ' <unfinished ...>'),
    `1 write(19<${hex('anon_inode:[eventfd]')}>, "${hex('12345678')}", 8) = 8`,
    `2 <... write resumed>)        = ${batch.length}`,
    flush(2, ' <unfinished ...>'),
    '1 --- SIGCHLD {si_signo=SIGCHLD} ---',
    '2 <... fdatasync resumed>)    = 0',
    answer(1),
  ]
  assert.equal(judged(...lines), [])
})

test('a batch over the end of a block, in two writes', () => {
  const content = journalOf('x'.repeat(32_768 - 7 - 7 - 12), 'pn/a.example/home')
  assert.not.ok(content.includes('pn/a.example/home'), 'a header stands in the middle of it')
  const halves = [content.subarray(0, 32_768), content.subarray(32_768)] as const
  assert.equal(judged(store(2, halves[0]), store(2, halves[1]), flush(2), answer(1)), [])
  assert.is(judged(store(2, halves[0]), flush(2), store(2, halves[1]), answer(1)).length, 1)
})

const faults: Readonly<Record<string, readonly string[]>> = {
  'acknowledged before the flush': [store(2, batch), answer(1), flush(2)],
  'acknowledged before the flush had returned': [
    store(2, batch),
    flush(2, ' <unfinished ...>'),
    answer(1),
    '2 <... fdatasync resumed>)    = 0',
  ],
  'a flush that began before the write had returned': [
    store(2, batch, ' <unfinished ...>'),
    flush(3, ' <unfinished ...>'),
    `2 <... write resumed>)        = ${batch.length}`,
    '3 <... fdatasync resumed>)    = 0',
    answer(1),
  ],
  'a flush of before': [flush(2), store(2, batch), answer(1)],
  'a flush that failed': [store(2, batch), flush(2, ')            = -1 EIO (Input/output error)'), answer(1)],
  'a flush of another file': [store(2, batch), flush(2).replace(hex('3.log'), hex('4.log')), answer(1)],
  'a write that was cut short': [store(2, batch, ' = 12'), flush(2), answer(1)],
  'a write that never returned': [store(2, batch, ' <unfinished ...>'), flush(3), answer(1)],
  'no flush': [store(2, batch), answer(1)],
  'nothing stored': [flush(2), answer(1)],
  'stored elsewhere than in the journal': [store(2, batch).replace(hex('3.log'), hex('3.txt')), flush(2), answer(1)],
  'no acknowledgement at all': [store(2, batch), flush(2)],
}
for (const [name, lines] of Object.entries(faults)) {
  test(`reports ${name}`, () => assert.is(judged(...lines).length, 1))
}

test('a trace that was not recorded whole is refused', () => {
  assert.throws(
    () => parseSystemCalls(`2 write(${journal}, "${hex('begin')}"..., 2000000) = 2000000`),
    /not recorded whole/,
  )
})

test.run()
