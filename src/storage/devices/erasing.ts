import type { Documents } from '../../document/documents.ts'
import type { MailboxName } from '../names.ts'
import { devicesDocument } from './records.ts'

/** Forgets all that stands in the devices document of a user who was removed. Nothing, if that was done. */
export async function eraseDevices(
  name: MailboxName,
  documents: Pick<Documents, 'read' | 'write' | 'compact'>,
): Promise<void> {
  const document = devicesDocument(name)
  const left = [...(await documents.read(document)).entries()].filter(([, { value }]) => value !== null)
  if (left.length === 0) return
  await documents.write(document, () => ({
    writes: left.map(([key]) => ({ key, value: null })),
    answer: undefined,
  }))
  await documents.compact(document)
}
