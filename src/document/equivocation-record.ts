import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { delimited, noBytes, readFields, tag, unexpected } from './entry-message.ts'

const equivocation = { first: tag(1, delimited), second: tag(2, delimited) }

/** Two signed entries of one log with one sequence number: whoever holds both can show that the server equivocated. */
export interface Equivocation {
  readonly first: Uint8Array
  readonly second: Uint8Array
}

export function encodeEquivocation({ first, second }: Equivocation): Uint8Array {
  const writer = new BinaryWriter()
  writer.uint32(equivocation.first).bytes(first)
  writer.uint32(equivocation.second).bytes(second)
  return writer.finish()
}

/** @throws {MalformedEntry} */
export function decodeEquivocation(bytes: Uint8Array): Equivocation {
  let first = noBytes
  let second = noBytes
  readFields(bytes, (found, reader) => {
    if (found === equivocation.first) first = reader.bytes()
    else if (found === equivocation.second) second = reader.bytes()
    else throw unexpected('Equivocation', found)
  })
  return { first, second }
}
