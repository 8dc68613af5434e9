import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { rng } from '../../../src/simulation/random-streams.ts'
import { MalformedGml, readGml } from '../../../src/simulation/studies/gml.ts'
import { published } from '../../../src/simulation/studies/published-topologies.ts'
import {
  fromEdges,
  full,
  grid,
  kRegular,
  line,
  preferential,
  ring,
  smallWorld,
  type Topology,
  tree,
} from '../../../src/simulation/studies/topology.ts'

/*
 * Every topology is what its name says: so many nodes and links, the right degrees, both directions, no node linked to
 * itself; a random one is the same for the same seed. A link that is missing or doubled would change every count of a study.
 */

const random = () => rng(1, 'topology test')

const all: readonly (readonly [name: string, make: () => Topology, nodes: number, links: number])[] = [
  ['ring', () => ring(7), 7, 7],
  ['ring of two', () => ring(2), 2, 1],
  ['line', () => line(7), 7, 6],
  ['grid', () => grid(4, 3), 12, 17],
  ['torus', () => grid(4, 3, true), 12, 24],
  ['torus of two rows', () => grid(4, 2, true), 8, 12],
  ['tree', () => tree(13, 3), 13, 12],
  ['full', () => full(9), 9, 36],
  ['kregular', () => kRegular(100, 5, random()), 100, 250],
  ['small world', () => smallWorld(60, 6, 0.2, random()), 60, 180],
  ['preferential', () => preferential(80, 3, random()), 80, 6 + 76 * 3],
  ['tree,15', () => published['tree,15'], 15, 14],
  ['partialmesh,15', () => published['partialmesh,15'], 15, 30],
]

for (const [name, make, nodes, links] of all) {
  test(`${name}: nodes, links, symmetry`, () => {
    const topology = make()
    assert.is(topology.size, nodes)
    assert.is(topology.links, links)
    const edges = listOf(topology)
    assert.is(edges.length, 2 * links, 'each link has two directions')
    assert.is(new Set(edges.map(String)).size, edges.length, 'no neighbour comes twice')
    for (const [a, b] of edges) {
      assert.is.not(a, b)
      assert.ok(topology.areNeighbours(a, b) && topology.areNeighbours(b, a))
    }
    assert.is(reachedFrom(0, topology), nodes, 'all nodes hang together')
    assert.equal(edges, listOf(make()), 'the same again')
  })
}

test('degrees', () => {
  const regular = kRegular(100, 5, random())
  for (let node = 0; node < 100; node++) assert.is(regular.degree(node), 5)
  const mesh = published['partialmesh,15']
  for (let node = 0; node < 15; node++) assert.is(mesh.degree(node), 4)
  const scaleFree = preferential(400, 2, random())
  const degrees = Array.from({ length: 400 }, (_, node) => scaleFree.degree(node)).sort((a, b) => b - a)
  assert.ok((degrees[0] ?? 0) > 5 * (degrees[200] ?? 0), 'a few nodes have many links')
})

test('what is no topology is refused', () => {
  assert.throws(() => kRegular(7, 3, random()), /even/)
  assert.throws(() => fromEdges([[1, 1]]), /itself/)
  assert.throws(() => fromEdges([[0, 3]], 3), /names node 3/)
  assert.throws(() => smallWorld(10, 3, 0.1, random()), /even degree/)
})

test('GML, as Shadow writes it', () => {
  const topology = readGml(`
    # a comment
    graph [
      directed 0
      node [ id 10 label "a" host_bandwidth_up "1 Gbit" ]
      node [ id 20 ]
      node [ id 30 ]
      edge [ source 10 target 10 latency "1 ms" ]
      edge [ source 10 target 20 latency "10 ms" packet_loss 0.0 ]
      edge [ source 20 target 30 latency "1500 us" ]
    ]`)
  assert.is(topology.size, 3)
  assert.is(topology.links, 2)
  assert.is(topology.latencyMs(0, 1), 10)
  assert.is(topology.latencyMs(2, 1), 1.5)
  for (const bad of [
    '',
    'graph [ node [ id 1 ]',
    'graph [ edge [ source 1 target 2 ] ]',
    'graph [ node [ label "x" ] ]',
  ]) {
    assert.throws(
      () => readGml(bad),
      (error: unknown) => error instanceof MalformedGml,
      bad,
    )
  }
})

function listOf(topology: Topology): readonly (readonly [number, number])[] {
  return Array.from({ length: topology.size }, (_, node) => node).flatMap(node =>
    Array.from({ length: topology.degree(node) }, (_, index) => [node, topology.neighbour(node, index)] as const),
  )
}

function reachedFrom(start: number, topology: Topology): number {
  const reached = new Set([start])
  for (const node of reached) {
    for (let index = 0; index < topology.degree(node); index++) reached.add(topology.neighbour(node, index))
  }
  return reached.size
}

test.run()
