/*
 * Proves: however many conversations and folders a mailbox has, no page tells of more than was asked for; over the pages each is told
 * once, before what is in it, also when the server changes and when there are new ones in between. Fails if a page holds them all, if
 * one is missed between two pages, or if one comes twice.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { folderCreate, folderRemove } from '../../src/storage/methods/objects.ts'
import { mailboxSync } from '../../src/storage/methods/sync.ts'
import { alice, newId, StorageWorld } from './storage-world.ts'

const test = suite('Pages of a synchronisation')
const [home, other] = ['a.example/1', 'a.example/2'] as const
const limit = 7

const by = () => ({ ...alice, commandId: newId() })

async function begin(world: StorageWorld, numbers: readonly number[]): Promise<void> {
  for (const number of numbers) await world.deposit(`${number}`, { conversationId: `conversation-${number}` })
}

/** All pages from a token on, each from the other server, with something done after the first. */
async function pages(world: StorageWorld, token: string | undefined, between = async () => {}) {
  type Page = ReturnType<typeof mailboxSync.result.parse>
  const found: Page[] = []
  for (let next: object = { token }; ; ) {
    const server = found.length % 2 === 0 ? home : other
    const page: Page = await world.call('alice', server, mailboxSync, { ...alice, limit, ...next })
    found.push(page)
    if (page.cursor === undefined) return found
    if (found.length === 1) await between()
    next = { cursor: page.cursor }
  }
}

const sorted = (names: Iterable<string>) => [...names].sort()
const numbered = (count: number, from = 0) => Array.from({ length: count }, (_, number) => from + number)

test('conversations and folders come in pages, each once, before what is in them', async () => {
  const world = await StorageWorld.start({ 'a.example': 2 })
  await world.registerAlice()
  const folders: string[] = []
  for (const name of ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'])
    folders.push((await world.call('alice', home, folderCreate, { ...by(), name })).folder)
  await begin(world, numbered(25))
  await world.converged()
  const first = await pages(world, undefined, async () => {
    await begin(world, [100])
    await world.converged()
  })
  const expected = [...numbered(25).map(number => `c-conversation-${number}`), ...folders]
  assert.equal(
    sorted(first.flatMap(({ containers }) => containers.map(({ container }) => container))),
    sorted(expected),
  )
  const told = new Set<string>()
  for (const { containers, created } of first) {
    assert.ok(containers.length <= limit && created.length <= limit, `${containers.length} and ${created.length}`)
    for (const { container } of containers) told.add(container)
    for (const { container } of created) assert.ok(told.has(container), `${container} was told before`)
  }
  assert.is(first.flatMap(({ created }) => created).length, 25)

  for (const folder of folders) await world.call('alice', home, folderRemove, { ...by(), folder })
  await world.converged()
  const then = await pages(world, first.at(-1)?.token)
  assert.equal(
    then.flatMap(({ containers }) => containers.map(({ name }) => name)),
    ['conversation-100'],
  )
  assert.equal(sorted(then.flatMap(({ vanishedContainers }) => vanishedContainers)), sorted(folders))
  for (const { vanishedContainers } of then) assert.ok(vanishedContainers.length <= limit)
  assert.equal(
    then.flatMap(({ created }) => created.map(({ container }) => container)),
    ['c-conversation-100'],
  )
})

test.run()
