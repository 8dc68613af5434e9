/*
 * `cpns simulate` as a researcher uses it: what runs leave behind is complete, runs are told in their order however many go on at
 * once, a study is held against what is published, and exit codes tell what happened.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { drawn } from '../../src/simulation/scenario/profiles.ts'
import { planRuns } from '../../src/simulation/scenario/read-scenario.ts'
import { mutations } from '../simulation/mutations/mutations.ts'

const root = join(import.meta.dirname, '../..')
const examples = join(root, 'examples/simulation')

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const simulate = (...args: string[]): Promise<Ran> =>
  new Promise(resolve => {
    execFile(process.execPath, [join(root, 'src/cli/main.ts'), 'simulate', ...args], (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })

/** The same with a node that breaks a promise. */
const simulateBroken = (mutation: string, ...args: string[]): Promise<Ran> =>
  new Promise(resolve => {
    const preload = join(root, 'test/simulation/mutations/preload.ts')
    const program = ['--import', preload, join(root, 'src/cli/main.ts'), 'simulate', ...args]
    const env = { ...process.env, MUTATION: mutation }
    execFile(process.execPath, program, { env }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })

async function childrenOf(parent: number | undefined): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid='])
  const pairs = stdout.split('\n').map(line => line.trim().split(/\s+/).map(Number))
  return pairs.flatMap(([pid = 0, ppid]) => (ppid === parent ? [pid] : []))
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Asks until there is an answer. @throws {Error} when there is none after so many times */
async function until<T>(ask: () => Promise<T | undefined>, times = 600): Promise<T> {
  for (let time = 0; time < times; time++) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await pause(100)
  }
  throw new Error('It did not come to pass.')
}

const small = `
name: small
run: { warmup: 2s, duration: 3s }
operators: { count: 1, servers: 2 }
networks: { count: 0 }
documents: { count: 1, writers: 2 }
workload: [{ operation: write, rate: 10 }]
`

const test = suite<{ folder: string }>('cpns simulate')
test.before.each(async context => {
  context.folder = await mkdtemp(join(tmpdir(), 'cpns-simulate-'))
})
test.after.each(({ folder }) => rm(folder, { recursive: true }))

const written = async (folder: string, text: string): Promise<string> => {
  const file = join(folder, 'scenario.yaml')
  await writeFile(file, text)
  return file
}

test('a run leaves its report, its figures and what they are drawn from', async ({ folder }) => {
  const out = join(folder, 'out')
  const { code, stdout } = await simulate(await written(folder, small), '--out', out)
  assert.is(code, 0)
  assert.match(stdout, /^seed 1 {2}ok {2}[0-9a-f]{16} {2}\d+ events/m)
  for (const file of [
    'manifest.json',
    'metrics.json',
    'data.json',
    'report.html',
    'trace.ndjson.gz',
    'plots/replicas.svg',
  ]) {
    assert.ok(existsSync(join(out, 'seed-1', file)), file)
  }
  const spec = JSON.parse(await readFile(join(out, 'seed-1/plots/replicas.vl.json'), 'utf8'))
  assert.match(spec.$schema, 'vega-lite')
  const manifest = JSON.parse(await readFile(join(out, 'seed-1/manifest.json'), 'utf8'))
  assert.is(manifest.seed, 1)
  const again = await simulate(join(out, 'seed-1/scenario.json'))
  assert.match(again.stdout, manifest.traceHash, 'the scenario that it leaves is the same run')
  assert.ok(manifest.node && manifest.v8 && manifest.traceHash)
})

test('several runs are told in their order, whatever goes on at once, and compared', async ({ folder }) => {
  const file = await written(folder, `${small}\nsweep: { documents.keys: [2, 8] }\n`)
  const lines = async (jobs: string, ...more: string[]) =>
    (await simulate(file, '--seeds', '1..3', '--jobs', jobs, ...more)).stdout
      .split('\n')
      .filter(line => line.startsWith('seed'))
      .map(line => line.replace(/ in [\d.]+ s/, ''))
  const out = join(folder, 'out')
  const [alone, together] = [await lines('1'), await lines('3', '--out', out)]
  assert.is(alone.length, 6)
  assert.equal(together, alone)
  assert.match(await readFile(join(out, 'report.html'), 'utf8'), /6 runs/)
  assert.ok(existsSync(join(out, 'documents.keys=8,seed-3/report.html')))
})

test('fields that are set stand for those of the file, in all processes, and are named with a run that fails', async ({
  folder,
}) => {
  const file = await written(folder, small)
  const asked = ['--set', 'run.duration=1s', '--set', 'expect={ write.ok: { min: 100000 } }']
  const { code, stdout } = await simulate(file, '--seeds', '1..2', '--jobs', '2', ...asked)
  assert.is(code, 5)
  assert.match(stdout, /^seed 2 {2}expectation .* [34] s virtual/m)
  assert.match(stdout, /again: cpns simulate \S+ --set 'run.duration=1s' --set 'expect=.*' --seed 2$/m)
  const unknown = await simulate(file, '--set', 'run.duratio=1s')
  assert.is(unknown.code, 6)
  assert.match(unknown.stderr, /did you mean "duration"/)
  assert.is((await simulate(file, '--set', 'run.duration')).code, 6)
})

test('exit codes tell what is wrong', async ({ folder }) => {
  const missed = await simulate(await written(folder, `${small}\nexpect: { write.ok: { min: 100000 } }\n`))
  assert.is(missed.code, 5)
  assert.match(missed.stdout, /write.ok is \d+, not within 100000/)
  const bad = await simulate(await written(folder, small.replace('rate', 'rat')))
  assert.is(bad.code, 6)
  assert.match(bad.stderr, /did you mean "rate"/)
  const odd = small.replace('servers: 2', 'servers: 3')
  const impossible = await simulate(
    await written(folder, `${odd}topology: { within: { type: kregular, degree: 1 } }\n`),
  )
  assert.is(impossible.code, 6)
  assert.match(impossible.stderr, /topology.within: 3 nodes cannot have 1 neighbours/)
  assert.is(
    (await simulate('shrink', await written(folder, small), '--seed', '1')).code,
    0,
    'there is nothing to shrink',
  )
})

test('verify heeds its seed, and says that both processes did the same', async ({ folder }) => {
  const file = await written(folder, small)
  const hashes = await Promise.all(
    ['1', '2'].map(async seed => (await simulate('verify', file, '--seed', seed)).stdout),
  )
  for (const told of hashes) assert.match(told, /^The same in both processes: [0-9a-f]{16}/)
  assert.is.not(hashes[0], hashes[1])
})

test('a study is held against what is published, row by row', async () => {
  const study = join(examples, 'studies/push-pull.yaml')
  const { code, stdout } = await simulate('validate', study, '--share', '0.2')
  assert.is(code, 0)
  assert.match(stdout, /n=1000: rounds .*reproduced/)
  const { stdout: json } = await simulate('validate', study, '--share', '0.2', '--json')
  assert.is(JSON.parse(json).length, 5)
  const scenario = await simulate('validate', join(examples, 'swarm.yaml'))
  assert.is(scenario.code, 6)
  assert.match(scenario.stderr, /is a scenario .* not a study. To run it: cpns simulate .*swarm.yaml/)
})

test('the schema beside the examples is that of the program', async () => {
  const { stdout } = await simulate('schema')
  const published = await readFile(join(examples, 'scenario.schema.json'), 'utf8')
  assert.equal(JSON.parse(published), JSON.parse(stdout), 'run: npm run schema')
})

test('scenarios that come with the program are listed, and go by their names', async () => {
  const { stdout } = await simulate('list')
  assert.match(stdout, /^partition +5 operators/m)
  const one = await simulate('marks', '--seed', '1')
  assert.is(one.code, 0)
  assert.match(one.stdout, /^seed 1 {2}ok/m)
  const none = await simulate('markss')
  assert.is(none.code, 1)
  assert.match(none.stderr, /did you mean "marks"/)
})

test('after the time that was given no run begins, and what was done is counted', async ({ folder }) => {
  const { code, stdout } = await simulate(await written(folder, small), '--seeds', '1..500', '--within', '1s')
  assert.is(code, 0)
  const told = stdout.split('\n').filter(line => line.startsWith('seed')).length
  assert.ok(told >= 1 && told < 500)
  assert.match(stdout, new RegExp(`^${told} of 500 runs: ${told} ok$`, 'm'))
})

test('a run that takes too long is undecided, named with its command, and hides no other', async ({ folder }) => {
  const file = await written(folder, small.replace('duration: 3s', 'duration: 100h'))
  const { code, stdout } = await simulate(file, '--seeds', '1..2', '--limit', '1s')
  assert.is(code, 7)
  assert.match(
    stdout,
    /^seed 2 {2}no answer\n.*longer than 1 s\n(?: .*\n)*? +again: cpns simulate .*scenario.yaml --seed 2$/m,
  )
})

test('who ends the program ends its processes', async ({ folder }) => {
  const file = await written(folder, small.replace('duration: 3s', 'duration: 100h'))
  const main = join(root, 'src/cli/main.ts')
  const program = spawn(process.execPath, [main, 'simulate', file, '--seeds', '1..2', '--jobs', '2'])
  const over = once(program, 'close')
  const children = await until(async () => {
    const found = await childrenOf(program.pid)
    return found.length === 2 ? found : undefined
  })
  program.kill('SIGTERM')
  assert.is((await over)[0], 143)
  await until(async () => children.every(pid => !isAlive(pid)) || undefined)
})

test('a run of a broken node becomes smaller, and fails in the same way by itself', async ({ folder }) => {
  const broken = mutations.find(({ name }) => name === 'believes a receipt that nobody gave')
  if (!broken) throw new Error('The mutation is gone.')
  const { name, scenario, seed, shows } = broken
  const out = join(folder, 'shrunk.json')
  const shrink = ['shrink', join(examples, scenario), '--seed', `${seed}`, '--out', out, '--tries', '12']
  const { code, stdout } = await simulateBroken(name, ...shrink)
  assert.is(code, 0, stdout)
  assert.match(stdout, new RegExp(`shrunk.json: fails in the same way \\(${shows}\\)`))
  const { faults, random } = JSON.parse(await readFile(out, 'utf8'))
  const [plan] = planRuns(await readFile(join(examples, scenario), 'utf8'), scenario, { seeds: [seed] })
  const before = plan && drawn(plan.scenario, seed).faults
  assert.ok(faults.length < (before?.length ?? 0), 'fewer faults')
  assert.is(random.profile, 'none', 'nothing is drawn any more')
  const again = await simulateBroken(name, out)
  assert.is(again.code, 3)
  assert.match(again.stdout, shows)
  assert.is((await simulate(out)).code, 0, 'the node as it is passes')
})

test.run()
