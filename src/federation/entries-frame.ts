import { varintBytes, writeVarint } from '../document/entry-message.ts'
import { delimited, tag } from '../document/strict-fields.ts'
import type { Entries } from './wire-sync.ts'

/*
 * A `Sync` frame of wire.proto that brings entries, written once, where it stays. The library's writer grows by doubling and moves what it has
 * written for each length before it: of a frame of 200 KB that is five copies.
 */

const entriesOfSync = tag(4, delimited)
const field = { document: tag(1, delimited), entries: tag(2, delimited), manifests: tag(3, delimited) }

const encoder = new TextEncoder()

export function entriesFrame({ document, entries, manifests = [] }: Entries): Uint8Array {
  const fields: (readonly [tag: number, bytes: Uint8Array])[] = [
    [field.document, encoder.encode(document)],
    ...entries.map(entry => [field.entries, entry] as const),
    ...manifests.map(manifest => [field.manifests, manifest] as const),
  ]
  const bytes = fields.reduce((sum, [, { length }]) => sum + 1 + varintBytes(length) + length, 0)
  const frame = new Uint8Array(1 + varintBytes(bytes) + bytes)
  let at = writeHead(frame, 0, entriesOfSync, bytes)
  for (const [tag, content] of fields) {
    at = writeHead(frame, at, tag, content.length)
    frame.set(content, at)
    at += content.length
  }
  return frame
}

/** Returns where the content is to follow. */
function writeHead(into: Uint8Array, at: number, tag: number, length: number): number {
  into[at] = tag
  return writeVarint(into, at + 1, length)
}
