/* The contract of PeerNetwork, on the double that fast federation tests use: it must not promise more than the real one. */

import { MemoryHub } from '../fixtures/memory-network.ts'
import { testOperator, testServer } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { peerNetworkContract } from '../ports/peer-network.contract.ts'

const hub = new MemoryHub()
const random = seededRandom('memory network')
const operator = testOperator('a.example').id

peerNetworkContract('memory', () => hub.network(testServer(operator, random.bytes(32)).id))
