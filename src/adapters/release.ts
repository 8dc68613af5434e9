import { createRequire } from 'node:module'
import { z } from 'zod'

/** The version of this software, as package.json has it. */
export const { version } = z
  .object({ version: z.string() })
  .parse(createRequire(import.meta.url)('../../package.json') as unknown)

/** Of the Node that runs it. */
export const nodeVersion = process.versions.node
