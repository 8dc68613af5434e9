import type { Documents } from '../../../src/document/documents.ts'
import { homeDocument } from '../../../src/inventory/networks.ts'
import { keys } from '../../../src/inventory/records.ts'
import type { OperatorId } from '../../../src/ports/names.ts'
import { writeMailbox } from '../mailbox-documents.ts'

/* A Personal Network of an owner and three elements, a mailbox, and a conversation of one message. */

/** When the elements were admitted. */
const since = Date.UTC(2026, 0)

export async function write(to: Documents, of: OperatorId, index: number): Promise<void> {
  await writeNetwork(to, of, index)
  await writeMailbox(to, of, `u${index}`)
}

async function writeNetwork(to: Documents, of: OperatorId, index: number): Promise<void> {
  const network = { alias: 'Home', owner: `u${index}`, epoch: 1, command: `establishes-${index}` }
  const elements = ['phone', 'watch', 'lamp'].map(element => ({
    key: keys.roster({ operator: of, pneId: `${element}-${index}` }),
    value: { epoch: 1, by: of, since },
  }))
  const writes = [{ key: keys.network, value: network }, ...elements]
  await to.write(homeDocument({ home: of, pnId: `home-${index}` }), () => ({ writes, answer: undefined }))
}
