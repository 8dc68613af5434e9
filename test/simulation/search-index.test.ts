import { SimulatedSearchIndex } from '../../src/simulation/search-index.ts'
import { searchIndexContract } from '../ports/search-index.contract.ts'

/* The reference keeps the contract that it is the reference of. */
searchIndexContract('simulated', async () => ({
  open: async () => new SimulatedSearchIndex(),
  remove: async () => {},
}))
