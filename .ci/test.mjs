// Runs the tests in a process for each group, as many at once as there are processors; what each said comes when it has ended. What
// they and the processes that they begin have compiled is kept for the next one. Exits with 1 if a test has failed.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

process.env.NODE_COMPILE_CACHE ??= join(process.cwd(), 'node_modules/.cache/node')

/** What takes long, longest first, so that none of it is left when all else is done. What no group has takes longest, and comes before them. */
const heavy = [
  /^conformance\//,
  /^simulation\/(?!mutations)/,
  /^(storage|inventory)\//,
  /^cli\//,
  /^simulation\/mutations/,
]
const files = readdirSync('test', { recursive: true })
  .filter(path => path.endsWith('.test.ts'))
  .sort()
const groups = Map.groupBy(files, path => heavy.findIndex(pattern => pattern.test(path)))
const waiting = [-1, ...heavy.keys()].flatMap(index => (groups.has(index) ? [groups.get(index)] : []))

/** What a failed test leaves running would keep its group from ending: it has so long after the last one. */
const lingerMs = 60_000

/** Resolves with whether all is well. */
function run(group) {
  const began = performance.now()
  const pattern = `^(${group.map(path => path.replaceAll('.', '\\.')).join('|')})$`
  const child = spawn(process.execPath, ['node_modules/uvu/bin.js', 'test', pattern, '-i', 'fixtures'])
  const said = []
  let lingering
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', bytes => {
      said.push(bytes)
      if (bytes.includes('  Duration: ')) lingering ??= setTimeout(() => child.kill('SIGKILL'), lingerMs)
    })
  }
  return new Promise(resolve =>
    child.on('close', code => {
      clearTimeout(lingering)
      process.stdout.write(Buffer.concat(said))
      console.log(`${group.length} files in ${Math.round((performance.now() - began) / 1000)} s: exit code ${code}\n`)
      resolve(code === 0)
    }),
  )
}

async function work() {
  for (let group = waiting.shift(); group; group = waiting.shift()) {
    if (!(await run(group))) process.exitCode = 1
  }
}
await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, work))
