import { create, toBinary } from '@bufbuild/protobuf'
import { isOperatorId, type OperatorId } from '../ports/names.ts'
import { MalformedFrame } from './frame-shape.ts'
import { GreetingSchema } from './wire_pb.ts'
import { greetingShape, runBytes } from './wire-shapes.ts'
import { decoded, timeFrom } from './wire-values.ts'

/*
 * The frames of /cpns/hello/1 as values that the rest can trust.
 */

export interface Hello {
  readonly versions: readonly number[]
  readonly operator: OperatorId
  readonly manifests: readonly Uint8Array[]
  readonly run: Uint8Array
  /** Milliseconds since 1970. */
  readonly clock: number
}

export type Greeting =
  | { readonly type: 'hello'; readonly hello: Hello }
  /** `refused`: the reason, if so. */
  | { readonly type: 'verdict'; readonly refused: string | undefined }

export function encodeGreeting(greeting: Greeting): Uint8Array {
  const content =
    greeting.type === 'hello'
      ? { case: 'hello' as const, value: helloFields(greeting.hello) }
      : {
          case: 'verdict' as const,
          value: { accepted: greeting.refused === undefined, reason: greeting.refused ?? '' },
        }
  return toBinary(GreetingSchema, create(GreetingSchema, { content }))
}

const helloFields = ({ versions, operator, manifests, run, clock }: Hello) => ({
  versions: [...versions],
  operator,
  manifests: [...manifests],
  run,
  clockMs: BigInt(clock),
})

/** @throws {MalformedFrame} */
export function decodeGreeting(frame: Uint8Array): Greeting {
  const { content } = decoded(GreetingSchema, greetingShape, frame)
  switch (content.case) {
    case 'hello': {
      const { versions, operator, manifests, run, clockMs } = content.value
      if (!isOperatorId(operator)) throw new MalformedFrame('The operator is not one.')
      if (run.length !== runBytes) throw new MalformedFrame(`A run has ${runBytes} bytes.`)
      return { type: 'hello', hello: { versions, operator, manifests, run, clock: timeFrom(clockMs) } }
    }
    case 'verdict': {
      const { accepted, reason } = content.value
      return { type: 'verdict', refused: accepted ? undefined : reason || 'unknown' }
    }
    case undefined:
      throw new MalformedFrame('The greeting says nothing.')
  }
}
