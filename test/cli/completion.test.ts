/*
 * Property: at every place of a command line a shell is offered exactly what the command takes there: sub-commands, options that
 * begin with a dash, the choices of an option; and, where no word is known, nothing of ours, so that file names come. Tried in a real
 * bash; zsh and fish, where they are installed, load their scripts, and fish completes by its own.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { placesOf } from '../../src/cli/completion-places.ts'
import { cpnsProgram } from '../../src/cli/program.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { cpnsHere } from './in-process.ts'

const test = suite('cpns completion')

const scriptFor = async (shell: string): Promise<string> => {
  const { code, stdout, stderr } = await cpnsHere('completion', shell)
  assert.is(code, 0, stderr)
  return stdout
}

/** What bash is offered at the end of each of these lines, in one process. */
async function completed(...lines: readonly (readonly string[])[]): Promise<string[][]> {
  const asked = lines.map(
    words =>
      `COMP_WORDS=(cpns ${words.map(word => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _cpns; echo "\${COMPREPLY[*]}"`,
  )
  const said = execFileSync('bash', ['--norc', '-u'], {
    input: `${await scriptFor('bash')}\n${asked.join('\n')}\n`,
    encoding: 'utf8',
  })
  return said
    .split('\n')
    .slice(0, -1)
    .map(line => line.split(' ').filter(Boolean))
}

test('bash is offered what the command takes, at every place', async () => {
  const program = cpnsProgram()
  const places = placesOf(program)
  assert.ok(places.length > 30)
  const at = (path: string) => path.split(' ').filter(Boolean)
  const names = await completed(...places.map(({ path }) => [...at(path), '']))
  const options = await completed(...places.map(({ path }) => [...at(path), '--']))
  for (const [index, place] of places.entries()) {
    const expected = [...place.commands.map(({ name }) => name), ...place.words]
    assert.equal(names[index], expected, place.path)
    const long = place.options.map(({ name }) => name).filter(name => name.startsWith('--'))
    assert.equal(options[index], long, place.path)
  }
})

test('a word that was begun is ended, choices of options are known, and files are left to the shell', async () => {
  const [begun, choice, file, behindOptions, argument] = await completed(
    ['pee'],
    ['mailbox', 'export', '--format', ''],
    ['peer', 'list', '--config', ''],
    ['peer', 'list', '--json', '--c'],
    ['completion', 'f'],
  )
  assert.equal(begun, ['peer'])
  assert.equal(choice, ['mbox', 'zip'])
  assert.equal(file, [])
  assert.equal(behindOptions, ['--config'])
  assert.equal(argument, ['fish'])
})

const hasShell = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0

test('zsh and fish take their scripts', async () => {
  await using folder = await temporaryFolder()
  for (const shell of ['zsh', 'fish']) {
    const file = join(folder.path, `cpns.${shell}`)
    await writeFile(file, await scriptFor(shell))
    if (!hasShell(shell)) continue
    const { status, stderr } = spawnSync(shell, ['-n', file], { encoding: 'utf8' })
    assert.is(status, 0, stderr)
  }
  if (!hasShell('fish')) return
  const asked = ['peer l', 'mailbox export --format '].map(line => `complete --do-complete 'cpns ${line}'`)
  const script = [`source ${join(folder.path, 'cpns.fish')}`, ...asked].join('\n')
  const said = execFileSync('fish', ['--no-config', '--command', script], {
    encoding: 'utf8',
    env: { ...process.env, HOME: folder.path },
  })
  assert.match(said, /^list\tLists the operators/m)
  assert.match(said, /^zip\b/m)
})

test('a shell that nobody has is refused', async () => {
  const { code, stderr } = await cpnsHere('completion', 'csh')
  assert.is(code, 2)
  assert.match(stderr, /bash, zsh, fish/)
})

test.run()
