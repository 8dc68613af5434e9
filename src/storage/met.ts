import { z } from 'zod'
import { framed, toBase64url, utf8 } from '../commands/framing.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { LogStore } from '../ports/log-store.ts'
import type { DocumentId } from '../ports/names.ts'
import type { Vector } from './records.ts'

/*
 * What this server has looked through of what others have done in a mailbox: so that after a restart it knows what it has yet
 * to look through.
 */

export interface Met {
  seen(mailbox: DocumentId): Promise<Vector>
  see(mailbox: DocumentId, vector: Vector): Promise<void>
}

const shape = z.record(z.string(), z.int().min(0))

export function createMet(store: Pick<LogStore, 'local' | 'commit'>, crypto: Pick<Crypto, 'sha256'>): Met {
  const keyOf = (mailbox: DocumentId) => `met/${toBase64url(crypto.sha256(framed(mailbox)))}`
  return {
    async seen(mailbox) {
      const value = await store.local(keyOf(mailbox))
      const parsed = value ? shape.safeParse(JSON.parse(new TextDecoder().decode(value))) : undefined
      return new Map(Object.entries(parsed?.data ?? {}))
    },
    async see(mailbox, vector) {
      const value = utf8(JSON.stringify(Object.fromEntries(vector)))
      await store.commit({ documents: [], local: [{ key: keyOf(mailbox), value }] })
    },
  }
}
