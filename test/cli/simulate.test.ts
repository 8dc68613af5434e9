/*
 * `cpns simulate` as a researcher uses it: what runs leave behind is complete, runs are told in their order however many go on at
 * once, a study is held against what is published, and exit codes tell what happened.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

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
  assert.is(scenario.code, 6, 'a scenario is no study')
})

test('the schema beside the examples is that of the program', async () => {
  const { stdout } = await simulate('schema')
  const published = await readFile(join(examples, 'scenario.schema.json'), 'utf8')
  assert.equal(JSON.parse(published), JSON.parse(stdout), 'run: npm run schema')
})

test.run()
