import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Credential, KeySource, Subscriber } from '../../src/ports/key-source.ts'

/*
 * The contract of KeySource, run by every adapter. It proves that a subscriber is found with exactly the credential and rights that
 * it has now, that nobody else is, and that a source which cannot be reached says so and tells no secret. An adapter fails
 * here if it mixes up two subscribers, keeps one that was removed, or answers "no such subscriber" when it does not know:
 * every client would be refused as if its key were wrong.
 */

/** A source with whoever runs it. */
export interface KeySourcePlace {
  readonly source: KeySource
  add(subscriber: Subscriber): Promise<void>
  remove(identity: string): Promise<void>
  /** From now on the source cannot be reached, until it is mended. */
  breakDown(): Promise<void>
  mend(): Promise<void>
  stop(): Promise<void>
}

/** One of each kind; a new kind is missed here until it is tried. */
const credentials: Readonly<Record<Credential['kind'], Credential>> = {
  psk: { kind: 'psk', key: new Uint8Array(48).fill(0xa7) },
  ed25519: { kind: 'ed25519', publicKey: new Uint8Array(32).fill(9) },
  x25519: { kind: 'x25519', publicKey: new Uint8Array(32).fill(5) },
  x509: { kind: 'x509' },
}

export const subscribers: readonly Subscriber[] = Object.entries(credentials).map(([kind, credential]) => ({
  identity: `with.${kind}@a.example`,
  credential,
}))

/** Nobody is called so; some would be a way to somewhere else if they were put into a path or a query. */
const nobodies = [
  'nobody',
  '',
  '.',
  '..',
  '../with.psk@a.example',
  'a/b',
  'a?b=c',
  'a#b',
  '%2e%2e',
  'ä',
  'x'.repeat(300),
]

/** How a call ends, in one text: what it found, or what it threw. */
export async function outcome(call: Promise<Subscriber | undefined>): Promise<string> {
  try {
    const found = await call
    return found ? `found ${found.identity}` : 'none'
  } catch (error) {
    return `failed: ${error instanceof Error ? `${error.message} ${error.stack}` : String(error)}`
  }
}

export function keySourceContract(name: string, create: () => Promise<KeySourcePlace>): void {
  const test = suite<{ place: KeySourcePlace }>(`key source: ${name}`)
  test.before.each(async context => {
    context.place = await create()
  })
  test.after.each(({ place }) => place.stop())

  test('a source that nobody was added to has nobody', async ({ place }) => {
    assert.is(await place.source.find('nobody'), undefined)
  })

  test('finds each kind of credential as it was given, also when asked at once', async ({ place }) => {
    for (const subscriber of subscribers) await place.add(subscriber)
    const names = Array.from({ length: 40 }, (_, at) => subscribers[at % subscribers.length] as Subscriber)
    const found = await Promise.all(names.map(({ identity }) => place.source.find(identity)))
    assert.equal(found, names)
  })

  test('finds what each may do, and nobody may do what was not said', async ({ place }) => {
    const [subscriber] = subscribers
    assert.ok(subscriber)
    for (const rights of [['deposit'], ['deposit', 'provision']] as const) {
      const granted = { ...subscriber, identity: rights.join('.'), rights }
      await place.add(granted)
      assert.equal(await place.source.find(granted.identity), granted)
    }
    await place.add(subscriber)
    assert.is((await place.source.find(subscriber.identity))?.rights, undefined)
  })

  test('finds nobody who is not there', async ({ place }) => {
    for (const subscriber of subscribers) await place.add(subscriber)
    for (const nobody of nobodies) assert.is(await outcome(place.source.find(nobody)), 'none', nobody)
  })

  test('who was removed is not found, and who was added again has the new credential', async ({ place }) => {
    const [subscriber] = subscribers
    assert.ok(subscriber)
    await place.add(subscriber)
    assert.equal(await place.source.find(subscriber.identity), subscriber)
    await place.remove(subscriber.identity)
    assert.is(await place.source.find(subscriber.identity), undefined)
    const changed: Subscriber = { ...subscriber, credential: { kind: 'psk', key: new Uint8Array(32).fill(3) } }
    await place.add(changed)
    assert.equal(await place.source.find(subscriber.identity), changed)
  })

  test('fails while it cannot be reached, for those who exist and those who do not, and tells no secret', async ({
    place,
  }) => {
    for (const subscriber of subscribers) await place.add(subscriber)
    await place.source.find('nobody')
    await place.breakDown()
    const psk = Buffer.alloc(48, 0xa7)
    for (const identity of ['with.psk@a.example', 'stranger']) {
      const told = await outcome(place.source.find(identity))
      assert.match(told, /^failed/, identity)
      for (const encoding of ['base64url', 'hex'] as const) {
        assert.not(told.includes(psk.toString(encoding).slice(0, 24)), 'a secret in an error')
      }
    }
    await place.mend()
    assert.is(await outcome(place.source.find('with.psk@a.example')), 'found with.psk@a.example')
    assert.is(await outcome(place.source.find('stranger')), 'none')
  })

  test.run()
}
