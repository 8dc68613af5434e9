import { z } from 'zod'
import type { Register } from '../../document/documents.ts'
import type { ServerId } from '../../ports/names.ts'

/*
 * A record as it is read from a register: its value, if that is what it should be, with who wrote it when; and what
 * records of several kinds hold.
 */

export const time = z.int().min(0).max(8.64e15)
export const epoch = z.int().min(1)
export const grantId = z.string().min(1).max(64)

/** A record with the moment and the server that wrote it. */
export type Stamped<T> = T & { readonly stamp: number; readonly server: ServerId }

/** What a register says, with its moment and server; `undefined` when it does not parse. */
export function read<T extends object>(
  schema: z.ZodType<T>,
  { value, stamp, server }: Register,
): Stamped<T> | undefined {
  const parsed = schema.safeParse(value)
  return parsed.success ? { ...parsed.data, stamp, server } : undefined
}
