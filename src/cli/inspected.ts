import { stat } from 'node:fs/promises'
import { InvalidArgumentError, Option } from 'commander'
import { systemClock } from '../adapters/clock.ts'
import { nodeCrypto } from '../adapters/crypto.ts'
import { thisHost } from '../adapters/host.ts'
import { controlPath } from '../operations/control-path.ts'
import { type Inspection, inspectionOf, maxPage } from '../operations/inspection/inspection.ts'
import { inspectionOverSocket } from '../operations/inspection/over-socket.ts'
import type { LogStore } from '../ports/log-store.ts'
import { openNodeFolder } from './node-folder.ts'
import { Refused } from './problems.ts'

/** Where a command looks, and who it is that its server belongs to. */
export interface Looking {
  readonly inspection: Inspection
  readonly operator: string
}

/** Looks into what a server holds: asks the node of the folder, or opens its store when no node runs there. */
export async function looking<T>(config: string, look: (at: Looking) => Promise<T>): Promise<T> {
  const { configuration, at } = await openNodeFolder(config)
  const { operator } = configuration
  const socket = controlPath(configuration, at)
  if (await thisHost().runs(socket)) return look({ operator, inspection: inspectionOverSocket(socket) })
  const store = await openStoreIn(at(configuration.data))
  try {
    return await look({ operator, inspection: inspectionOf({ store, crypto: nodeCrypto(), now: systemClock().now }) })
  } finally {
    await store.close()
  }
}

/** The store of a server that does not run. @throws {Refused} {@link StoreInUse} */
export async function openStoreIn(folder: string): Promise<LogStore> {
  await assertOwn(folder)
  // Here, not above: most commands need no store.
  const { openLevelLogStore } = await import('../adapters/level-log-store.ts')
  return openLevelLogStore(folder)
}

/** Opening a store writes to it: what another user writes there, its server could not read. */
async function assertOwn(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined)
  if (!found) throw new Refused(`There is nothing in ${folder} yet: cpns start makes it.`)
  if (process.getuid && found.uid !== process.getuid())
    throw new Refused(`${folder} belongs to another user. Run this as the user that the server runs as.`)
}

export const limitOption = (what: string, usual: number) =>
  new Option('--limit <number>', `${what}, at most ${maxPage}`).argParser(limitOf).default(usual)

export const afterOption = () => new Option('--after <id>', 'goes on where a list has ended')

function limitOf(text: string): number {
  const limit = Number(text)
  if (/^\d{1,6}$/.test(text) && limit >= 1 && limit <= maxPage) return limit
  throw new InvalidArgumentError(`expected a number from 1 to ${maxPage}`)
}

export const atOption = () =>
  new Option('--at <time>', 'as of then, such as 2026-11-26T14:05:00Z; left out: now').argParser(timeOf)

function timeOf(text: string): number {
  const at = /^\d{1,16}$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isSafeInteger(at) && at >= 0) return at
  throw new InvalidArgumentError('expected a time such as 2026-11-26T14:05:00Z, or milliseconds since 1970')
}

/** The page given to an inspection, as options have it. */
export const pageWanted = ({ limit, after }: { readonly limit: number; readonly after?: string }) => ({
  limit,
  ...(after !== undefined && { after }),
})

/** A list that goes on says so. */
export const moreOf = (next: string | undefined): string[] =>
  next === undefined ? [] : [`There are more: --after ${next}`]
