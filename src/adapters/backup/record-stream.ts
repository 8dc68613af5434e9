import { BackupRefused, maxBlockBytes, packed, type RawRecord, unpackRecords } from './format.ts'
import { Input } from './input.ts'

/** Records as a stream of their own, as a running node gives them: each payload after its length, and a zero at the end. */
export async function* framed(records: AsyncIterable<RawRecord>): AsyncGenerator<Uint8Array> {
  for await (const payload of packed(records)) yield Buffer.concat([lengthOf(payload.length), payload])
  yield lengthOf(0)
}

/** @throws {BackupRefused} when the stream ends before its end */
export async function* unframed(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<RawRecord> {
  const input = new Input(bytes)
  for (;;) {
    const length = (await input.take(4)).readUInt32BE(0)
    if (length === 0) return
    if (length > maxBlockBytes) throw new BackupRefused('The node sent what are no records.')
    yield* unpackRecords(await input.take(length))
  }
}

function lengthOf(bytes: number): Buffer {
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32BE(bytes, 0)
  return length
}

/** As fast as it is read; who stops reading ends the source. */
export function asStream(source: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await source.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await source.return(undefined)
    },
  })
}
