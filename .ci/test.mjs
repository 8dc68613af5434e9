// Runs the tests in two processes beside each other: one half waits for sockets, disks and browsers, the other computes. What
// the second one says comes after. Exits with 1 if a test of either has failed.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'

/** Folders whose tests wait more than they compute; those that drive a browser share its unpacked copy, so they stay together. */
const waiting = ['access', 'actor', 'adapters', 'client', 'conformance', 'document', 'federation']
const all = readdirSync('test', { withFileTypes: true })
  .filter(entry => entry.isDirectory() && entry.name !== 'fixtures')
  .map(({ name }) => name)

/** Resolves with the exit code, and with what was said unless that went straight on. */
function run(folders, stdio) {
  const pattern = `^(${folders.join('|')})/.*\\.test\\.ts$`
  const child = spawn(process.execPath, ['node_modules/uvu/bin.js', 'test', pattern, '-i', 'fixtures'], { stdio })
  const said = []
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', bytes => said.push(bytes))
  return new Promise(resolve => child.on('close', code => resolve({ code, said: Buffer.concat(said) })))
}

const others = run(
  all.filter(folder => !waiting.includes(folder)),
  ['ignore', 'pipe', 'pipe'],
)
const first = await run(waiting, ['ignore', 'inherit', 'inherit'])
const second = await others
process.stdout.write(second.said)
process.exitCode = first.code === 0 && second.code === 0 ? 0 : 1
