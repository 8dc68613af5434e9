import { mailboxFetch } from '../../storage/methods/objects.ts'
import { nameOf } from './replica.ts'
import type { SyncOptions } from './synchronise.ts'

/** As many as one call may name. */
const atOnce = 100

/**
 * Fetches what is missing of objects that came with less, as long as all of them is wanted; what is complete is not asked for
 * again, also after a cut. What a server does not know stays as it is: the next sync says what became of it, and tries again.
 * @returns how many were completed
 * @throws what calls and the store throw
 */
export async function complete({ session, mailbox, content, replica, turn, tell }: SyncOptions): Promise<number> {
  let completed = 0
  let before: string | undefined
  while (content() === 'full') {
    const { objects: partial, last } = await turn(() => replica.partial(before, atOnce))
    if (last === undefined) break
    before = last
    const { objects } = await session.call(mailboxFetch, { ...mailbox, objects: partial.map(nameOf) })
    const applied = await turn(() => replica.complete(objects))
    completed += applied.changed.length
    if (applied.changed.length === 0) continue
    tell({ kind: 'changed', ...applied })
    tell({ kind: 'sync.completing', completed })
  }
  return completed
}
