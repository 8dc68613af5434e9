import { z } from 'zod'
import { segment } from '../commands/fields.ts'
import type { Registers } from '../document/documents.ts'
import { keys } from './records.ts'

/** `address/<address>`, in a directory document: whose it is. */
const entry = z.object({ kind: z.enum(['user', 'group']), name: segment })

export function entryOf(directory: Registers, address: string): z.infer<typeof entry> | undefined {
  const parsed = entry.safeParse(directory.get(keys.address(address))?.value)
  return parsed.success ? parsed.data : undefined
}
