import { type Edge, fromEdges, type Topology } from './topology.ts'

/*
 * Topologies of publications, link by link.
 *
 * Enes, Almeida, Baquero, Leitão: Efficient Synchronization of State-based CRDTs, ICDE 2019 (arXiv 1803.02750); the lists
 * are those of the authors' experiments, vitorenesduarte/exp, src/exp_overlay.erl. 14 and 30 links.
 */

// biome-ignore format: so that it can be compared with its source
const treeOf15: readonly Edge[] = [
  [0, 1], [0, 8], [0, 13], [1, 6], [2, 5], [3, 10], [4, 5], [5, 6], [6, 10], [7, 13], [8, 9], [8, 14], [10, 12],
  [11, 13],
]

// biome-ignore format: so that it can be compared with its source
const partialMeshOf15: readonly Edge[] = [
  [0, 14],
  [0, 11],
  [0, 4],
  [0, 1],
  [1, 2],
  [1, 5],
  [1, 12],
  [2, 13],
  [2, 6],
  [2, 3],
  [3, 7],
  [3, 14],
  [3, 4],
  [4, 8],
  [4, 5],
  [5, 9],
  [5, 6],
  [6, 7],
  [6, 10],
  [7, 11],
  [7, 8],
  [8, 9],
  [8, 12],
  [9, 10],
  [9, 13],
  [10, 11],
  [10, 14],
  [11, 12],
  [12, 13],
  [13, 14],
]

export const publishedNames = ['tree,15', 'partialmesh,15'] as const
export type PublishedName = (typeof publishedNames)[number]

export const published: Readonly<Record<PublishedName, Topology>> = {
  'tree,15': fromEdges(treeOf15, 15),
  'partialmesh,15': fromEdges(partialMeshOf15, 15),
}
