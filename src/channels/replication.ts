import { z } from 'zod'
import type { Documents } from '../document/documents.ts'
import { asDocumentId, ownerOf, parseDocumentId } from '../document/names.ts'
import type { CommandHandler, Federation } from '../federation/federation.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'
import { refusals } from './refusals.ts'

/*
 * Whether what was stored here has reached a second server of the operator, so that nobody who is told so loses it with this one.
 * Entries travel by themselves; the other servers are asked to say when one is there, which they do when it is durable.
 */

export interface Replication {
  /** Whether another server holds a register of the document, soon: `true` at once where there is no other server in the manifest. */
  reaches(document: DocumentId, key: string): Promise<boolean>
  stop(): void
}

const heldMethod = 'channel.held'
const question = z.strictObject({
  document: z.string().max(512),
  key: z.string().max(256),
  withinMs: z.int().min(0).max(10_000),
})
const answer = z.strictObject({ isHeld: z.boolean() })
/** Questions of others that are being waited for here. */
const maxWaiting = 4_096

export function createReplication(options: {
  readonly self: OperatorId
  readonly documents: Pick<Documents, 'read' | 'subscribe'>
  /** Servers of the operator beside this one, by its manifest. */
  readonly others: () => number
  readonly clock: Clock
  readonly replicationMs: number
}): Replication & { readonly join: (federation: Federation) => void } {
  const { self, documents, others, clock, replicationMs } = options
  const waiting = new Map<DocumentId, Set<() => void>>()
  let count = 0
  let joined: Federation | undefined
  const unsubscribe = documents.subscribe(({ document }) => {
    for (const look of waiting.get(document) ?? []) look()
  })

  const isHeld = async (document: DocumentId, key: string): Promise<boolean> =>
    (await documents.read(document)).get(key) !== undefined

  /** Resolves as soon as it is held, or with `false` when the time is up. */
  async function held(document: DocumentId, key: string, withinMs: number): Promise<boolean> {
    if (await isHeld(document, key)) return true
    if (count >= maxWaiting) return false
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const look = () =>
      void isHeld(document, key).then(
        is => {
          if (is) resolve(true)
        },
        () => resolve(false),
      )
    const cancel = clock.after(withinMs, () => resolve(false))
    const ofDocument = waiting.get(document) ?? new Set()
    waiting.set(document, ofDocument.add(look))
    count += 1
    look()
    return promise.finally(() => {
      cancel()
      count -= 1
      ofDocument.delete(look)
      if (ofDocument.size === 0 && waiting.get(document) === ofDocument) waiting.delete(document)
    })
  }

  const handler: CommandHandler = async ({ params }, from) => {
    const asked = question.safeParse(params)
    if (from.operator !== self || !asked.success) throw refusals.notAuthorised('Servers of this operator ask this.')
    const document = channelsDocumentIn(asked.data.document)
    if (!document || ownerOf(document) !== self) throw refusals.malformed('This is no document of channels.')
    return { ok: true, value: { isHeld: await held(document, asked.data.key, asked.data.withinMs) } }
  }

  return {
    join(federation) {
      joined = federation
      federation.handle(heldMethod, handler)
    },

    async reaches(document, key) {
      if (others() === 0) return true
      const servers = joined?.linked(self) ?? []
      const params = { document, key, withinMs: replicationMs }
      const asked = servers.map(async server => {
        const answered = await joined?.requestAt(server, { method: heldMethod, params })
        const said = answered?.ok ? answer.safeParse(answered.value) : undefined
        if (said?.data?.isHeld !== true) throw new Error('It is not there.')
        return true
      })
      // A link that has just broken may take long to say so.
      return Promise.race([Promise.any(asked).catch(() => false), after(clock, replicationMs)])
    },

    stop: unsubscribe,
  }
}

const after = (clock: Clock, ms: number): Promise<false> =>
  new Promise(resolve => {
    clock.after(ms, () => resolve(false))
  })

function channelsDocumentIn(text: string): DocumentId | undefined {
  try {
    return parseDocumentId(text).kind === 'channels' ? asDocumentId(text) : undefined
  } catch {
    return undefined
  }
}
