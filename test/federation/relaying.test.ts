/*
 * Property: however servers are linked, an entry reaches all that can be reached from its author, and where all are linked with
 * all, each of them once. Fails when two servers leave a third to each other.
 */
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Relaying } from '../../src/federation/relaying.ts'
import type { ServerId } from '../../src/ports/names.ts'

type Links = ReadonlyMap<ServerId, readonly ServerId[]>

const livesOf = (servers: readonly ServerId[], life = 1) => new Map(servers.map(server => [server, life]))
const named = (number: number): ServerId => `server ${number}` as ServerId

function linksOf(count: number, pairs: readonly (readonly [number, number])[]): Links {
  const links = new Map(Array.from({ length: count }, (_, at) => [named(at), new Set<ServerId>()]))
  for (const [one, other] of pairs.map(([x, y]) => [named(x % count), named(y % count)] as const)) {
    if (one === other) continue
    links.get(one)?.add(other)
    links.get(other)?.add(one)
  }
  return new Map([...links].map(([server, others]) => [server, [...others]]))
}

/** How often each server gets an entry of `author`, when each passes on what it has not had before. */
function deliveries(links: Links, author: ServerId, order: (waiting: number) => number): ReadonlyMap<ServerId, number> {
  const received = new Map<ServerId, number>()
  const waiting: { readonly from: ServerId; readonly to: ServerId }[] = []
  const pass = (at: ServerId, source: 'own' | ServerId) => {
    for (const peer of links.get(at) ?? []) {
      const relaying = new Relaying()
      relaying.heard(livesOf(links.get(peer) ?? []))
      if (peer !== source && relaying.passes(source, () => true)) waiting.push({ from: at, to: peer })
    }
  }
  pass(author, 'own')
  for (;;) {
    const [next] = waiting.splice(order(waiting.length), 1)
    if (!next) return received
    const times = received.get(next.to) ?? 0
    received.set(next.to, times + 1)
    if (times === 0 && next.to !== author) pass(next.to, next.from)
  }
}

function reachable(links: Links, from: ServerId): Set<ServerId> {
  const reached = new Set([from])
  for (const server of reached) for (const next of links.get(server) ?? []) reached.add(next)
  return reached
}

test('an entry reaches whoever can be reached', () => {
  const pair = fc.tuple(fc.nat(30), fc.nat(30))
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 12 }), fc.array(pair, { maxLength: 40 }), fc.nat(), (count, pairs, turn) => {
      const links = linksOf(count, pairs)
      const author = named(0)
      const got = deliveries(links, author, waiting => (waiting === 0 ? 0 : turn % waiting))
      assert.equal(new Set([author, ...got.keys()]), reachable(links, author))
    }),
    { numRuns: 1_000 },
  )
})

test('where all are linked with all, it is sent once to each', () => {
  const all = Array.from({ length: 9 }, (_, x) => Array.from({ length: 9 }, (_, y) => [x, y] as const)).flat()
  const got = deliveries(linksOf(9, all), named(0), () => 0)
  assert.equal(
    [...got.values()],
    Array.from({ length: 8 }, () => 1),
  )
})

test('who loses a link may lack what was left to it, and only then', () => {
  const relaying = new Relaying()
  assert.ok(
    relaying.passes(named(1), () => true),
    'nothing is known of the peer yet',
  )
  assert.not(relaying.heard(livesOf([named(1), named(2)])))
  assert.not(relaying.passes(named(1), () => true))
  assert.ok(relaying.passes('own', () => true))
  assert.ok(relaying.passes(named(3), () => true))
  assert.ok(
    relaying.passes(named(1), () => false),
    'who may not hold it gives it to nobody',
  )
  assert.not(relaying.heard(livesOf([named(1), named(3)])), 'nothing was left to 2')
  assert.ok(relaying.heard(livesOf([named(3)])))
  assert.not(relaying.heard(livesOf([named(3)])), 'once')
  assert.not(relaying.passes(named(3), () => true))
  assert.ok(relaying.heard(livesOf([named(3)], 2)), 'the link has begun again')
})

test.run()
