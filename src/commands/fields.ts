import { z } from 'zod'
import { isSegment } from '../document/names.ts'
import type { MethodSpec } from '../federation/command.ts'
import { isOperatorId, type OperatorId } from '../ports/names.ts'

/*
 * What the parameters and results of all methods are made of. Binary values are base64url without padding. Times are
 * milliseconds since 1970, durations milliseconds.
 */

export const operator = z
  .custom<OperatorId>(value => typeof value === 'string' && isOperatorId(value), {
    error: 'expected an operator: a lower-case domain name such as a.example',
  })
  // A check by a function has no JSON Schema of its own: this is what descriptions of the methods say.
  .meta({ type: 'string', description: 'An operator: a lower-case domain name' })
export const segment = z.string().refine(isSegment, { error: 'expected 1 to 128 of A-Z a-z 0-9 . _ ~ @ + -' })
export const commandId = z.string().regex(/^[A-Za-z0-9_-]{16,64}$/, {
  error: 'expected 16 to 64 characters of base64url',
})
export const bytes = (maxBytes: number) => z.base64url().max(Math.ceil((maxBytes * 4) / 3))
export const time = z.int().min(0).max(8.64e15)

/** A command names itself and its time, so that executed twice, anywhere, it has happened once. */
export const command = { commandId, time: time.optional() }

/** Says of a method what it is, with its types inferred. */
export const spec = <P, R>(spec: MethodSpec<P, R>): MethodSpec<P, R> => spec
