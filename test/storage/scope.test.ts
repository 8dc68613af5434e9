/*
 * Proves: whatever is in a mailbox and whatever a scope says, a synchronisation gives the objects that a filter written for this
 * test finds, in pages of any size, each with as much of it as was asked for; after flags, moves, copies, expunging and removed
 * folders a client that follows has what the filter finds then; and what leaves the scope is said to have left, never to have
 * vanished. Production nodes in the simulator.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Content,
  content,
  type Flag,
  flag,
  type ObjectName,
  objectType,
  type Scope,
  scope,
} from '../../src/storage/fields.ts'
import {
  folderCreate,
  folderRemove,
  mailboxCopy,
  mailboxExpunge,
  mailboxFlag,
  mailboxMove,
  messageDeposit,
} from '../../src/storage/methods/objects.ts'
import { type NewObject, newObject, type ShownObject } from '../../src/storage/objects.ts'
import { blobOf, hashOf } from '../ports/media-store.contract.ts'
import { alice, aliceAddress, bobAddress, newId, StorageWorld } from './storage-world.ts'

const test = suite('Scopes')
const server = 'a.example/1'

/** An object as this test knows it. */
interface Known extends ObjectName {
  readonly object: NewObject
  readonly size: number
  readonly copyOf?: string
  readonly flags: ReadonlySet<Flag>
}

const placeOf = ({ container, part, id }: ObjectName): string => `${container}/${part}/${id}`

/* What there may be. Few values of each kind, so that scopes meet objects, and objects their bounds. */

const senders = [aliceAddress, bobAddress, 'sip:carol@c.example']
const dates = [0, 1_795_000_000_000, 1_795_000_000_001, 1_795_000_090_000]
const conversations = ['lunch', 'dinner', 'a conversation / whose id is no name', 'späti']
const folderNames = ['keep', 'best', 'drop']

const flagSet = fc.subarray([...flag.options])
const blobs = [1, 100, 4_096, 100_000].map(size => blobOf(size))
const mediaArbitrary = fc.constantFrom(...blobs).map(bytes => ({
  hash: hashOf(bytes),
  size: bytes.length,
  type: 'image/png',
}))

const object: fc.Arbitrary<NewObject> = fc
  .record({
    type: fc.constantFrom(...objectType.options),
    direction: fc.constantFrom('in' as const, 'out' as const),
    date: fc.constantFrom(...dates),
    from: fc.constantFrom(...senders),
    conversationId: fc.constantFrom(...conversations),
    text: fc.constantFrom(undefined, '', 'a', 'ä'.repeat(50), 'x'.repeat(4_096)),
    media: fc.array(mediaArbitrary, { minLength: 1, maxLength: 2 }),
  })
  .map(({ type, text, media, ...said }) =>
    newObject.parse({
      ...said,
      type,
      to: [aliceAddress],
      contentType: 'text/plain',
      ...(text !== undefined && { text }),
      ...((type === 'file-transfer' || type === 'media') && { media }),
      ...(type === 'session-info' && { session: { kind: '1-1', participants: [bobAddress] } }),
      ...(type === 'group-state' && {
        groupState: { timestamp: said.date, lastFocusSessionId: 'focus', kind: 'Open', participants: [] },
      }),
    }),
  )

const deposited = fc.record({ object, folder: fc.option(fc.nat(2)), flags: flagSet })

const change = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('flag' as const), at: fc.nat(), add: flagSet, remove: flagSet }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('move' as const), at: fc.nat(), to: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('copy' as const), at: fc.nat(), to: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('expunge' as const), at: fc.nat() }) },
  { weight: 1, arbitrary: deposited.map(deposit => ({ kind: 'deposit' as const, deposit })) },
)

type Change = typeof change extends fc.Arbitrary<infer C> ? C : never

/** One to four things that a scope may say, of places that are there and one that is not. */
const scopeIn = (containers: readonly string[]): fc.Arbitrary<Scope> => {
  const says = {
    containers: fc.subarray([...containers, 'c-nobody'], { minLength: 1 }),
    kind: fc.constantFrom('conversation' as const, 'folder' as const),
    types: fc.subarray([...objectType.options], { minLength: 1 }),
    direction: fc.constantFrom('in' as const, 'out' as const),
    from: fc.subarray([...senders, 'tel:+49000'], { minLength: 1 }),
    since: fc.constantFrom(...dates),
    before: fc.constantFrom(...dates),
    maxSize: fc.constantFrom(0, 1, 100, 4_095, 4_096, 100_000),
    with: fc.subarray([...flag.options], { maxLength: 2 }),
    without: fc.subarray([...flag.options], { maxLength: 2 }),
  } satisfies { readonly [K in keyof Required<Scope>]: fc.Arbitrary<unknown> }
  return fc
    .subarray(Object.keys(says) as (keyof typeof says)[], { minLength: 1, maxLength: 4 })
    .chain(said => fc.record(Object.fromEntries(said.map(key => [key, says[key]])), { noNullPrototype: true }))
    .map(said => scope.parse(said))
}

/* The filter: what the words of a scope mean, one by one. */

const isPlaceMeant = (container: string, { containers, kind }: Scope): boolean => {
  if (containers && !containers.some(each => each === container)) return false
  return kind === undefined || kind === (container[0] === 'f' ? 'folder' : 'conversation')
}

function isMeant({ container, object, size }: Known, scope: Scope): boolean {
  if (!isPlaceMeant(container, scope)) return false
  if (scope.types && !scope.types.some(type => type === object.type)) return false
  if (scope.direction && scope.direction !== object.direction) return false
  if (scope.from && !scope.from.some(sender => sender === object.from)) return false
  if (scope.since !== undefined && object.date < scope.since) return false
  if (scope.before !== undefined && !(object.date < scope.before)) return false
  return !(scope.maxSize !== undefined && size > scope.maxSize)
}

const isFlaggedSo = ({ flags }: Known, { with: has, without }: Scope): boolean =>
  (has ?? []).filter(name => !flags.has(name)).length === 0 &&
  (without ?? []).filter(name => flags.has(name)).length === 0

function expected({ object, size, copyOf, flags, container, part, id }: Known, content: Content): object {
  const name = { container, part, id, flags: [...flags].sort() }
  const { text, media, session, groupState, ...head } = object
  const copied = copyOf === undefined ? {} : { copyOf }
  switch (content) {
    case 'full':
      return { ...object, ...name, ...copied, size }
    case 'list':
      return { ...head, ...name, ...copied, size, mediaCount: media?.length ?? 0 }
    case 'links':
      return { ...name, date: object.date, size }
  }
}

/** All but when it was stored, which is the server's to say. */
function told(object: ShownObject, content: Content): object {
  const { stored, ...rest } = { stored: undefined, ...object }
  assert.is(stored !== undefined, content !== 'links')
  return { ...rest, flags: [...rest.flags].sort() }
}

/** A mailbox, and what this test knows of it. */
class Mailbox {
  readonly world: StorageWorld
  readonly folders: string[] = []
  readonly objects = new Map<string, Known>()
  /** Since the last round. */
  flagged = new Set<string>()
  gone = new Set<string>()
  removedFolders = new Set<string>()

  constructor(world: StorageWorld) {
    this.world = world
  }

  async makeFolders(): Promise<void> {
    for (const name of folderNames) {
      const { folder } = await this.world.call('alice', server, folderCreate, { ...by(), name })
      this.folders.push(folder)
    }
  }

  async deposit({
    object,
    folder: at,
    flags,
  }: {
    object: NewObject
    folder: number | null
    flags: Flag[]
  }): Promise<void> {
    const folder = at === null ? undefined : this.folders[at]
    const params = { ...by(), object, ...(folder !== undefined && { folder }), flags }
    const { created, ...name } = await this.world.call('function', server, messageDeposit, params)
    assert.ok(created)
    this.#put(name, { object, size: bytesOf(object), flags: new Set(flags) })
  }

  async change(change: Change): Promise<void> {
    if (change.kind === 'deposit') return this.deposit(change.deposit)
    const all = [...this.objects.values()]
    const known = all[change.at % all.length]
    if (!known) return
    const { container, part, id } = known
    const name = { container, part, id }
    switch (change.kind) {
      case 'flag': {
        const remove = change.remove.filter(name => !change.add.includes(name))
        const changes = [{ ...name, add: change.add, remove }]
        await this.world.call('alice', server, mailboxFlag, { ...by(), changes })
        const isOther = change.add.some(name => !known.flags.has(name)) || remove.some(name => known.flags.has(name))
        if (!isOther) return
        const flags = new Set([...known.flags, ...change.add].filter(name => !remove.includes(name)))
        this.objects.set(placeOf(name), { ...known, flags })
        this.flagged.add(placeOf(name))
        return
      }
      case 'move': {
        const folder = this.folders[change.to] ?? ''
        const params = { ...by(), objects: [name], folder }
        const { outcomes } = await this.world.call('alice', server, mailboxMove, params)
        if (!container.startsWith('f-')) return assert.is(outcomes[0]?.reason, 'STAYS_IN_CONVERSATION')
        const moved = outcomes[0]?.moved
        assert.ok(moved)
        if (folder === container) return
        this.#take(known)
        this.#put(moved, known)
        return
      }
      case 'copy': {
        const params = { ...by(), objects: [name], folder: this.folders[change.to] ?? '' }
        const { outcomes } = await this.world.call('alice', server, mailboxCopy, params)
        const copy = outcomes[0]?.copy
        assert.ok(copy)
        this.#put(copy, { ...known, copyOf: id })
        return
      }
      case 'expunge':
        await this.world.call('alice', server, mailboxExpunge, { ...by(), objects: [name] })
        this.#take(known)
    }
  }

  async removeFolder(at: number): Promise<void> {
    const folder = this.folders[at] ?? ''
    await this.world.call('alice', server, folderRemove, { ...by(), folder })
    for (const [place, { container }] of this.objects) if (container === folder) this.objects.delete(place)
    for (const places of [this.gone, this.flagged])
      for (const place of places) if (place.startsWith(`${folder}/`)) places.delete(place)
    this.removedFolders.add(folder)
  }

  beginRound(): void {
    this.flagged = new Set()
    this.gone = new Set()
    this.removedFolders = new Set()
  }

  in(scope: Scope): Known[] {
    return [...this.objects.values()].filter(known => isMeant(known, scope) && isFlaggedSo(known, scope))
  }

  #put(name: ObjectName, known: Omit<Known, keyof ObjectName>): void {
    this.objects.set(placeOf(name), { ...known, ...name })
    this.gone.delete(placeOf(name))
    this.flagged.delete(placeOf(name))
  }

  #take(name: ObjectName): void {
    this.objects.delete(placeOf(name))
    this.flagged.delete(placeOf(name))
    this.gone.add(placeOf(name))
  }
}

const by = () => ({ ...alice, commandId: newId() })
const bytesOf = ({ text = '', media = [] }: NewObject): number =>
  Buffer.byteLength(text) + media.reduce((sum, { size }) => sum + size, 0)

interface Question {
  readonly scope: Scope
  readonly content: Content
  readonly limit: number
}

/** A client with a scope: what it holds is what it was told, and no more. */
class Follower {
  readonly question: Question
  readonly held = new Map<string, object>()
  token: string | undefined

  constructor(question: Question) {
    this.question = question
  }

  async follow(mailbox: Mailbox): Promise<{ left: number; vanished: number }> {
    const { scope, content, limit } = this.question
    const isFirst = this.token === undefined
    const page = await mailbox.world.sync({
      scope,
      content,
      limit,
      ...(this.token !== undefined && { token: this.token }),
    })
    assert.not(page.lagging)
    assert.is(page.kind, 'page')
    this.token = page.token
    const places = [...page.created, ...page.changed, ...page.left, ...page.vanished].map(placeOf)
    assert.is(new Set(places).size, places.length, 'each object is told of once')
    // The last page that tells of containers has objects too.
    const pagesOf = (count: number) => Math.max(1, Math.ceil(count / limit))
    const containers = page.containers.length + page.vanishedContainers.length
    assert.is(page.pages, pagesOf(places.length) + pagesOf(containers) - 1, 'pages are full')

    for (const object of [...page.created, ...page.changed]) this.held.set(placeOf(object), told(object, content))
    for (const name of [...page.left, ...page.vanished]) this.held.delete(placeOf(name))
    for (const place of this.held.keys())
      if ([...mailbox.removedFolders].some(folder => place.startsWith(`${folder}/`))) this.held.delete(place)
    const found = new Map(mailbox.in(scope).map(known => [placeOf(known), expected(known, content)]))
    assert.equal(sorted(this.held), sorted(found))

    const hasLeft = (place: string): boolean => {
      const known = mailbox.objects.get(place)
      return known !== undefined && isMeant(known, scope) && !isFlaggedSo(known, scope)
    }
    const left = isFirst ? [] : [...mailbox.flagged].filter(hasLeft)
    const vanished = isFirst ? [] : [...mailbox.gone].filter(place => isPlaceMeant(place.split('/')[0] ?? '', scope))
    assert.equal(page.left.map(placeOf).sort(), left.sort())
    assert.equal(page.vanished.map(placeOf).sort(), vanished.sort())
    return { left: left.length, vanished: vanished.length }
  }
}

const sorted = (objects: ReadonlyMap<string, object>) => [...objects].sort(([a], [b]) => (a < b ? -1 : 1))

test('a sync gives what is in scope, whatever the scope and whatever changes', async () => {
  const seen = { scoped: 0, left: 0, vanished: 0 }
  const lives = fc.record({
    objects: fc.array(deposited, { minLength: 25, maxLength: 40 }),
    rounds: fc.array(fc.array(change, { minLength: 8, maxLength: 15 }), { minLength: 3, maxLength: 3 }),
    dropped: fc.nat(2),
  })
  // All of it hangs on one number, so that a failure says that and no forty objects.
  const property = fc.asyncProperty(fc.integer(), async seed => {
    const [life] = fc.sample(lives, { seed, numRuns: 1 })
    const { objects, rounds, dropped } = life as NonNullable<typeof life>
    const mailbox = new Mailbox(await StorageWorld.start({ 'a.example': 1 }))
    await mailbox.world.registerAlice()
    await mailbox.makeFolders()
    for (const bytes of blobs) await mailbox.world.upload(bytes)
    for (const each of objects) await mailbox.deposit(each)
    // Before the first sync: flags that are younger than their object do not make it leave what it was never in.
    for (const each of rounds[0] ?? []) await mailbox.change(each)
    const containers = [...new Set([...mailbox.objects.values()].map(({ container }) => container))]
    const question = fc.record({
      scope: scopeIn(containers),
      content: fc.constantFrom(...content.options),
      limit: fc.integer({ min: 1, max: 50 }),
    })
    const followers = fc.sample(question, { seed, numRuns: 60 }).map(each => new Follower(each))
    followers.push(new Follower({ scope: {}, content: 'full', limit: 7 }))
    for (const follower of followers) {
      await follower.follow(mailbox)
      seen.scoped += follower.held.size
    }
    for (const [number, changes] of rounds.slice(1).entries()) {
      mailbox.beginRound()
      for (const each of changes) await mailbox.change(each)
      if (number === rounds.length - 2) await mailbox.removeFolder(dropped)
      for (const follower of followers) {
        const { left, vanished } = await follower.follow(mailbox)
        seen.left += left
        seen.vanished += vanished
      }
    }
  })
  await fc.assert(property, { numRuns: 3, endOnFailure: true, includeErrorInReport: true })
  assert.ok(seen.scoped > 100 && seen.left > 10 && seen.vanished > 10, JSON.stringify(seen))
})

test.run()
