import { mutate } from '../mutations/load.ts'

// Run by itself, in another process: the small scenario with the seed that it is given, while the collector sees nothing.

const collector = 'simulation/report/collector.ts'
const blind = (from: string) => ({ file: collector, from, to: `${from}\n    if (this) return` })
mutate([
  blind('  made(server: SimulatedServer): void {'),
  blind('  crashing(server: SimulatedServer): void {'),
  blind('  sample(): void {'),
  { file: collector, from: 'world.network.observe({', to: 'void ({' },
  {
    file: 'simulation/scenario/run.ts',
    from: 'node.documents.subscribe(notice => watching.collector?.took(server, notice))',
    to: '',
  },
])

// After the hooks are in place.
const { runScenario } = await import('../../../src/simulation/scenario/run.ts')
const { production } = await import('../production.ts')
const { smallScenario } = await import('../scenarios.ts')

const { hash, events, data } = await runScenario(smallScenario(), process.argv[2] ?? '', { production })
console.log(JSON.stringify({ hash, events, samples: data.replicas.length }))
