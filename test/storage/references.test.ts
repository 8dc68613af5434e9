/*
 * Proves: whatever objects come and go in the parts of a mailbox, exactly those media count as referred to that an object which is
 * there names; and who asks again, nothing having changed, has no part read.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { registersOf } from '../../src/document/registers-view.ts'
import type { IndexRecord } from '../../src/ports/log-store.ts'
import { isMediaHash, type MediaHash } from '../../src/ports/media-store.ts'
import { type DocumentId, isServerId } from '../../src/ports/names.ts'
import { createReferences } from '../../src/storage/media/references.ts'
import { partDocument } from '../../src/storage/names.ts'
import { keys, objectText } from '../../src/storage/records.ts'
import { alice } from './storage-world.ts'

const test = suite('Media that are referred to')

const server = '12D3KooWHKdccZGyp1t4JnwTTKT9A37HzpAQcRB8gNDfcpQJaaYu'

const hashes = ['A', 'B', 'C', 'D', 'E'].map(letter => {
  const hash = `${letter.repeat(42)}A`
  if (!isMediaHash(hash)) throw new Error(`${hash} names no media.`)
  return hash
})

const objectWith = (media: readonly MediaHash[]): string =>
  objectText({
    ...{ type: 'message', direction: 'in', date: 1, from: 'tel:+49301', to: ['tel:+49302'], conversationId: 'lunch' },
    ...{ contributionId: 'c1', contentType: 'image/png', size: 1, stored: 1, o: ['AAAAAAAA', 1] },
    media: media.map(hash => ({ hash, size: 1, type: 'image/png' })),
  })

/** A mailbox of some parts, of each the media that its objects refer to. */
class Mailbox {
  readonly #parts: { media: readonly MediaHash[]; version: number }[]
  reads = 0

  constructor(parts: number) {
    this.#parts = Array.from({ length: parts }, () => ({ media: [], version: 0 }))
  }

  set(part: number, media: readonly MediaHash[]): void {
    const at = this.#parts[part % this.#parts.length]
    if (!at) return
    at.media = media
    at.version++
  }

  get referred(): ReadonlySet<MediaHash> {
    return new Set(this.#parts.flatMap(({ media }) => media))
  }

  readonly documents = {
    index: async (document: DocumentId) => this.#indexOf(document),
    list: (prefix: string) => this.#list(prefix),
    read: async (document: DocumentId) => {
      this.reads++
      const media = this.#partOf(document)?.media ?? []
      if (!isServerId(server)) throw new Error(`${server} names no server.`)
      return registersOf(
        new Map(
          media.map((hash, at) => [
            keys.object(`${at}`.padStart(22, 'A')),
            { stamp: 1, server, value: objectWith([hash]) },
          ]),
        ),
      )
    },
  }

  #partOf = (document: DocumentId) => this.#parts.find((_, part) => document === partDocument(alice, 'c-lunch', part))

  #indexOf(document: DocumentId): IndexRecord | undefined {
    const part = this.#partOf(document)
    return part && { document, heads: [], superseded: [], digest: Uint8Array.of(part.version), epoch: 0 }
  }

  async *#list(prefix: string) {
    for (const [part] of this.#parts.entries()) {
      const index = this.#indexOf(partDocument(alice, 'c-lunch', part))
      if (index?.document.startsWith(prefix)) yield index
    }
  }
}

const media = fc.uniqueArray(fc.constantFrom(...hashes), { maxLength: 3 })
const steps = fc.array(fc.record({ part: fc.nat(4), media }), { maxLength: 12 })

test('are those that an object names which is there', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 5 }), steps, async (parts, changes) => {
      const mailbox = new Mailbox(parts)
      const references = createReferences(mailbox.documents)
      for (const { part, media } of changes) {
        mailbox.set(part, media)
        const expected = hashes.filter(hash => !mailbox.referred.has(hash))
        assert.equal([...(await references.unreferred(alice, hashes))], expected)
        const reads = mailbox.reads
        assert.is((await references.unreferred(alice, mailbox.referred)).size, 0)
        assert.is(mailbox.reads, reads, 'nothing is read that has not changed')
        for (const hash of hashes) assert.is(await references.refers(alice, hash), mailbox.referred.has(hash))
      }
    }),
  )
})

test.run()
