import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { delimited, StrictFields, tag } from './strict-fields.ts'

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
  const fields = new StrictFields(bytes)
  const first = fields.bytes(equivocation.first)
  const second = fields.bytes(equivocation.second)
  fields.end('Equivocation')
  return { first, second }
}
