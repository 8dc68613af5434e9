/*
 * Property: every command that the program has does what it is for, and refuses what it cannot do with an exit code and a message that
 * says why. All of them are run here, in the order of the table, at a server that runs, at one that does not, and at none; a command
 * that is not in the table fails the test, as does one that is there and not in the program. Each shows in its help what it looks like
 * in use, in words that it takes, and prints JSON for programs unless what it prints is for programs already.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { examples } from '../../src/cli/examples.ts'
import { cpnsProgram } from '../../src/cli/program.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { realNode } from '../operations/admin/real-node.ts'
import { places, run, type Shown, table } from './command-table.ts'

const test = suite('Every command')

/** A scenario that is run in no time. */
const small = `
name: small
run: { warmup: 1s, duration: 1s }
operators: { count: 1, servers: 2 }
networks: { count: 0 }
documents: { count: 1, writers: 2 }
workload: [{ operation: write, rate: 5 }]
`

/** What these print is for programs as it is. */
const forPrograms = [
  'start',
  'config schema',
  'simulate',
  'simulate verify',
  'simulate shrink',
  'simulate schema',
  'completion',
]

/** The commands that do something, by their words. */
function* leaves(command: Command, words: readonly string[] = []): Generator<{ words: string; command: Command }> {
  // Commander calls what runs a command so; a command without it only has others below it.
  if (words.length > 0 && Reflect.get(command, '_actionHandler')) yield { words: words.join(' '), command }
  for (const child of command.commands) yield* leaves(child as Command, [...words, child.name()])
}
const all = [...leaves(cpnsProgram())]

test('each is in the table, shows its use, and prints JSON for programs', () => {
  const named = all.map(({ words }) => words).toSorted()
  assert.equal(Object.keys(table).toSorted(), named, 'a command is shown at work, and at what it refuses')
  assert.equal(Object.keys(examples).toSorted(), named, 'src/cli/examples.ts has what it looks like in use')
  const silent = all.filter(({ command }) => !command.options.some(({ long }) => long === '--json'))
  assert.equal(silent.map(({ words }) => words).toSorted(), forPrograms.toSorted())
})

test('each takes what its examples say', async () => {
  for (const [words, lines] of Object.entries(examples)) {
    for (const line of lines) {
      const program = cpnsProgram()
      const found = [...leaves(program)].find(each => each.words === words)
      if (!found) return assert.unreachable(words)
      let isTaken = false
      found.command.action(() => {
        isTaken = true
      })
      for (const option of found.command.options) option.mandatory = option.mandatory && option.envVar === undefined
      const [, said = ''] = /cpns ([^|>)]+)/.exec(line) ?? []
      const given = [...said.trim().matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
      await program.parseAsync(['node', 'cpns', ...given]).catch(error => assert.unreachable(`${line}: ${error}`))
      assert.ok(isTaken, `${line} is no example of ${words}`)
    }
  }
})

test('each does what it is for, and says why when it does not', async () => {
  const folder = await temporaryFolder()
  const node = await realNode({ trusts: 'b.example' })
  const key = Buffer.alloc(32, 7).toString('base64url')
  Object.assign(places, {
    '@folder': folder.path,
    '@running': node.folder,
    '@other': join(node.folder, '../b'),
    '@stopped': join(folder.path, 'c'),
    '@joining': join(folder.path, 'c2'),
    '@studies': join(import.meta.dirname, '../../examples/simulation/studies'),
    '@url': node.node.clientUrl(),
    '@server': node.node.federation.server,
    '@psk': key,
    '@key': key,
  })
  const { CPNS_PSK: before } = process.env
  const wrong: string[] = []
  try {
    process.env.CPNS_PSK = key
    await writeFile(join(folder.path, 'small.yaml'), small)
    await writeFile(join(folder.path, 'policy.toml'), '[standard]\nhops = 1\n')
    await writeFile(join(folder.path, 'wrong.toml'), '[standard]\nhop = 1\n')
    for (const [words, shown] of Object.entries(table)) {
      const began = performance.now()
      wrong.push(...(await faultsOf(words, shown)))
      if (words === 'init') {
        const manifest = await run('manifest show @stopped/manifest.json --json')
        places['@root'] = JSON.parse(manifest.stdout).fingerprint
      }
      if (process.env.TIMES) console.log(words, Math.round(performance.now() - began))
    }
    assert.equal(wrong, [])
  } finally {
    if (before === undefined) delete process.env.CPNS_PSK
    else process.env.CPNS_PSK = before
    await node.end()
    await folder.remove()
  }
})

/** What a command does otherwise than the table has it. */
async function faultsOf(words: string, { does, says, refuses, because, code = 1 }: Shown): Promise<string[]> {
  const done = typeof does === 'string' ? await run(does) : await does(run)
  const refused = await run(refuses)
  const message = refused.stderr + refused.stdout
  return [
    ...(done.code === 0 ? [] : [`cpns ${words} ends with ${done.code}: ${done.stderr}`]),
    ...(says.test(done.stdout) ? [] : [`cpns ${words} says: ${done.stdout}`]),
    ...(refused.code === code ? [] : [`cpns ${refuses} ends with ${refused.code}: ${message}`]),
    ...(because.test(message) ? [] : [`cpns ${refuses} says: ${message}`]),
    ...(/\n\s+at .*:\d+:\d+/.test(message) ? [`cpns ${refuses} shows a stack: ${message}`] : []),
  ]
}

test.run()
