/*
 * Proves: where the disk cannot be read or written for a while, the end of a grant and what is seen to again and again wait for it,
 * tell it, and are made up for. Fails if a replica stays when its grant has ended, if links do not hear of a change, or if a
 * promise that nobody waits for rejects, which ends the process.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createUpkeep as createChannelUpkeep } from '../../src/channels/upkeep.ts'
import type { Documents } from '../../src/document/documents.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { operatorId } from '../../src/ports/names.ts'
import { createMailboxGrants } from '../../src/storage/entitlement.ts'
import { defaultPolicy } from '../../src/storage/policy.ts'
import { createUpkeep } from '../../src/storage/upkeep.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'

const [a, b] = [operatorId('a.example'), operatorId('b.example')]
const mailbox = asDocumentId('mailbox/a.example/alice')
const conversation = asDocumentId('conversation/a.example/alice/c-lunch')

function disk() {
  const forgotten: string[] = []
  const found = {
    isReadable: true,
    forgotten,
    documents: {
      index: async () => ({ document: mailbox }),
      async *list() {
        if (!found.isReadable) throw new Error('the disk cannot be read')
        yield { document: conversation }
      },
      forget: async (document: string) => void forgotten.push(document),
      subscribe: () => () => {},
    } as unknown as Documents,
  }
  return found
}

test('a replica whose grant has ended is dropped once the disk can be read, and links hear of it', async () => {
  const { forgotten, ...held } = disk()
  const [clock, telemetry] = [new ManualClock(), new RecordingTelemetry()]
  const content = { user: 'living', given: [] as [typeof b, number][] }
  const fact = () => ({ fact: { ...content } as never, digest: new Uint8Array() })
  const grants = createMailboxGrants({
    ...{ self: b, documents: held.documents, isDirectoryShared: false, clock, telemetry },
    refresh: () => grants.learned(mailbox, fact()),
  })
  const heard: string[] = []
  grants.subscribe(document => heard.push(document))
  content.given = [[b, clock.now() + 60_000]]
  await grants.learned(mailbox, fact())
  assert.equal(heard.splice(0), [mailbox, conversation])

  held.documents.list = async function* () {
    yield await Promise.reject(new Error('the disk cannot be read'))
  }
  await clock.run(60_000)
  assert.is(telemetry.events('storage.replica.not-dropped').length, 1)
  assert.is(telemetry.events('storage.grants.unreadable').length, 1)
  assert.not.ok(grants.mayHold(mailbox, b), 'it is closed all the same')
  assert.equal(forgotten, [])

  held.documents.list = disk().documents.list
  await clock.run(30_000)
  assert.equal(forgotten, [conversation, mailbox])
  assert.ok(heard.includes(conversation))
  grants.stop()
})

test('what goes through all documents of a kind tells that it could not, and comes by again', async () => {
  const held = disk()
  held.isReadable = false
  const [clock, telemetry] = [new ManualClock(), new RecordingTelemetry()]
  const around = { self: a, server: 's' as never, documents: held.documents, clock, telemetry }
  const none = {} as never
  const upkeeps = [
    createUpkeep({ ...around, met: none, writers: none, erasure: { stop() {} } as never, policy: defaultPolicy }),
    createChannelUpkeep({ ...around, keys: none, everyMs: 60_000 }),
  ]
  for (const upkeep of upkeeps) upkeep.start()
  await clock.run(2 * 86_400_000)
  for (const event of ['storage.upkeep-failed', 'channels.upkeep-failed'])
    assert.ok(telemetry.events(event).length >= 2, event)
  for (const upkeep of upkeeps) upkeep.stop()
})

test.run()
