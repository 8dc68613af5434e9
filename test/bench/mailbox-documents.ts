import type { Documents } from '../../src/document/documents.ts'
import type { OperatorId } from '../../src/ports/names.ts'
import { mailboxDocument, partDocument } from '../../src/storage/names.ts'
import { keys, objectText } from '../../src/storage/records.ts'
import { messageOf, newId } from './storage-server.ts'

const run = 'AAAAAAAA'
const date = 1_735_000_000_000

/** Two documents: a mailbox and a conversation, as a registration and a deposit leave them. */
export async function writeMailbox(
  documents: Pick<Documents, 'write'>,
  operator: OperatorId,
  user: string,
): Promise<void> {
  const name = { operator, user }
  const text = 'What is for lunch today?'
  const record = {
    ...messageOf('lunch', date, text),
    size: text.length,
    stored: date,
    o: [run, 1] as [string, number],
  }
  const part = [
    { key: keys.object(user.padStart(22, 'A')), value: objectText(record) },
    { key: keys.at(run), value: 1 },
  ]
  await documents.write(partDocument(name, 'c-lunch', 0), () => ({ writes: part, answer: undefined }))
  const counts = { objects: 1, bytes: text.length, chars: 400, from: date, to: date }
  const mailbox = [
    { key: keys.user, value: { born: newId() } },
    {
      key: keys.subscriber(operator, 'client'),
      value: { operator, identity: 'client', rights: ['read', 'write', 'deposit'] },
    },
    { key: keys.container('c-lunch'), value: { name: 'lunch', o: [run, 1] } },
    { key: keys.change('c-lunch', 0, run), value: 1 },
    { key: keys.count('c-lunch', 0, run), value: counts },
    { key: keys.run(run), value: 1 },
  ]
  await documents.write(mailboxDocument(name), () => ({ writes: mailbox, answer: undefined }))
}
