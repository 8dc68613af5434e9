/*
 * Property: over real libp2p a media arrives as it was, from any offset on; a server gives nothing that its source does not
 * let it; a stream that is cut tells the asker; and who takes slowly holds up who sends. Fails when a short media passes for
 * a whole one, or the sender reads ahead without bound.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { freePort } from '../../examples/support/cuttable-link.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import { libp2pNetwork } from '../../src/adapters/libp2p-network.ts'
import type { ServerId } from '../../src/ports/names.ts'
import { testOperator } from '../fixtures/operators.ts'
import { until } from '../fixtures/until.ts'
import { blobOf, collected, nameOf, pieces } from '../ports/media-store.contract.ts'
import { World } from './world.ts'

const a = testOperator('a.example')
const b = testOperator('b.example')

const test = suite('media between servers')

test('arrives whole or from an offset, is refused, told when cut, and held up by who takes it', async () => {
  const ports = new Map<ServerId, number>()
  for (const { id } of [...a.servers, ...b.servers]) ports.set(id, await freePort())
  const addressOf = (id: ServerId) => `/ip4/127.0.0.1/tcp/${ports.get(id)}`
  const world = new World([a, b], {
    clock: systemClock(),
    network: ({ id, privateKey }) => libp2pNetwork({ privateKey, listen: [addressOf(id)] }),
    address: addressOf,
  })
  try {
    const [atA, atB] = [await world.start(a), await world.start(b)]
    await until(() => atA.isUp(atB) && atB.isUp(atA), { what: 'they are linked' })
    const bytes = blobOf(3_000_000)
    const [whole, broken, secret] = [nameOf(bytes), nameOf(blobOf(1)), nameOf(blobOf(2))]
    let sent = 0
    async function* counted(from: number) {
      for await (const piece of pieces(bytes.subarray(from), 500_000)) {
        sent += piece.length
        yield piece
      }
    }
    atA.federation.serveMedia(async ({ hash }, { operator }) => {
      if (operator !== b.id || hash === secret.hash) return undefined
      const size = bytes.length
      const cut = () => pieces(bytes, 500_000, 2)
      return { size, type: 'image/png', bytes: hash === broken.hash ? cut : counted }
    })
    for (const from of [0, 1_234_567, bytes.length]) {
      const got: Uint8Array[] = []
      const isThere = await atB.federation.fetchMedia(atA.id, whole, async found => {
        assert.equal([found.size, found.type], [bytes.length, 'image/png'])
        got.push(await collected(found.bytes(from)))
      })
      assert.is(isThere, true)
      assert.equal(got, [bytes.subarray(from)])
    }
    const never = async () => assert.unreachable('it was given')
    assert.is(await atB.federation.fetchMedia(atA.id, secret, never), false)
    const take = async (found: { bytes(from: number): AsyncIterable<Uint8Array> }) =>
      void (await collected(found.bytes(0)))
    const error = await atB.federation.fetchMedia(atA.id, broken, take).catch((error: unknown) => error)
    assert.instance(error, Error)
    sent = 0
    await atB.federation.fetchMedia(atA.id, whole, async found => {
      for await (const _first of found.bytes(0)) break
      await new Promise(resolve => setTimeout(resolve, 50))
      assert.ok(sent < bytes.length, `${sent} bytes were sent to who took one piece`)
    })
  } finally {
    await world.stopAll()
  }
})

test.run()
