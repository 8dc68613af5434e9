import { runScenario } from '../../src/simulation/scenario/run.ts'
import { production } from './production.ts'
import { smallScenario } from './scenarios.ts'

// Run by itself, in another process: prints what became of the small scenario with the seed that it is given.
const { outcome, hash, events } = await runScenario(smallScenario(), process.argv[2] ?? '', { production })
console.log(JSON.stringify({ outcome, hash, events }))
