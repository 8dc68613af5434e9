import type { Documents } from '../../../src/document/documents.ts'
import { homeDocument } from '../../../src/inventory/networks.ts'
import { keys } from '../../../src/inventory/records.ts'
import type { OperatorId } from '../../../src/ports/names.ts'
import type { ContentPlace } from '../start/documents.ts'
import { contentMark, keysOfDocument, networkOf, subscriberOf } from './documents.ts'

/* Personal Networks of as many keys as the documents of others have. */

/** When their elements were admitted. */
const since = Date.UTC(2026, 0)

export const networks: ContentPlace = { module: new URL(import.meta.url), together: 1 }

export async function write(to: Documents, operator: OperatorId, index: number): Promise<void> {
  const network = { alias: contentMark, owner: subscriberOf(index), epoch: 1, command: `establishes-${index}` }
  const elements = Array.from({ length: keysOfDocument - 1 }, (_, at) => ({
    key: keys.roster({ operator, pneId: `element-${at}` }),
    value: { epoch: 1, by: operator, since },
  }))
  const writes = [{ key: keys.network, value: network }, ...elements]
  await to.write(homeDocument({ home: operator, pnId: networkOf(index) }), () => ({ writes, answer: undefined }))
}
