/*
 * Property: a new operator who does what the README says, step by step, from empty folders, sees what the README shows: every command of
 * its walk is given, in its order, and prints the same, but for keys, names made from them, times, and ports, which are free ones here.
 * Servers are real, each on its own folder, in this process.
 */
import { readFile, realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { freePort } from '../../examples/support/cuttable-link.ts'
import { openNodeFolder } from '../../src/cli/node-folder.ts'
import { launch, type RunningNode } from '../../src/operations/launch.ts'
import { cpnsHere } from '../cli/in-process.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { until } from '../fixtures/until.ts'

interface Step {
  readonly command: string
  readonly prints: string
}

/** The steps of the README's first console. */
async function stepsOfReadme(): Promise<Step[]> {
  const text = await readFile(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8')
  const [, shown = ''] = /```console\n(.*?)```/s.exec(text) ?? []
  return shown
    .split(/^\$ /m)
    .slice(1)
    .map(step => {
      const [command = '', ...lines] = step.trimEnd().split('\n')
      return { command, prints: lines.join('\n') }
    })
}

/** What is another at every walk does not count, nor in which order links are listed. */
const comparable = (text: string): string =>
  text
    .replaceAll(/12D3KooW\w{44}/g, 'SERVER')
    .replaceAll(/(?<![\w-])[\w-]{43}(?![\w-])/g, 'KEY')
    .replaceAll(/for (\d+ (d|h|min|s) ?)+/g, 'for a while')
    .replaceAll(/\d+ (ms|%)/g, 'N $1')
    // How busy this machine is, is not of the walk.
    .replaceAll(/^load +\w+$/gm, 'load as it is')
    .replaceAll(/serving, (not )?ready( for clients)?/g, 'serving')
    .replaceAll(/ +/g, ' ')
    .trim()
    .split('\n')
    .map(line => line.trimEnd())
    .sort((a, b) => (a.startsWith('link ') && b.startsWith('link ') ? (a < b ? -1 : 1) : 0))
    .join('\n')

/** Whether this was printed; `…` in a line of its own stands for any lines. */
const isShown = (printed: string, shown: string): boolean => {
  const [first = '', ...others] = shown.split('\n…\n')
  if (others.length === 0) return printed === first
  const last = others.pop() ?? ''
  return (
    printed.startsWith(`${first}\n`) && printed.endsWith(`\n${last}`) && others.every(each => printed.includes(each))
  )
}

const test = suite<{ nodes: Set<RunningNode> }>('The walk of the README')
test.before.each(context => {
  context.nodes = new Set()
})
test.after.each(async ({ nodes }) => {
  for (const node of nodes) await node.stop()
})

test('three operators on one machine', async ({ nodes }) => {
  await using folder = await temporaryFolder()
  const steps = await stepsOfReadme()
  assert.ok(steps.length > 12, String(steps.length))
  // Of what others run on this machine nobody knows.
  const ports = new Map<string, string>()
  for (const port of ['4600', '4680', '4601', '4681', '4602', '4682']) ports.set(port, String(await freePort()))
  const asHere = (text: string) => text.replaceAll(/\b46\d\d\b/g, port => ports.get(port) ?? port)
  const root = await realpath(folder.path)
  const asShown = (text: string) =>
    [...ports].reduce((left, [shown, here]) => left.replaceAll(here, shown), text).replaceAll(root, '/srv')

  async function start(config: string): Promise<void> {
    const settings = { 'log.level': 'error', 'load.controlled': 'false' }
    const { configuration, at } = await openNodeFolder(config, settings)
    const node = await launch(configuration, at)
    await node.ready
    nodes.add(node)
    // As `cpns start` does.
    void node.draining.done.then(() => {
      nodes.delete(node)
      return node.stop()
    })
  }

  async function printed(command: string): Promise<string> {
    const words = asHere(command).split(' ').slice(1)
    const [name] = words
    // The first operator takes the usual ports.
    const usual = name === 'init' && !words.includes('--listen')
    const more = usual ? ['--listen', asHere('/ip4/127.0.0.1/tcp/4600'), '--client-port', asHere('4680')] : []
    const { stdout, stderr } = await cpnsHere(...words, ...more)
    return comparable(asShown(stdout + stderr))
  }

  const before = process.cwd()
  process.chdir(root)
  try {
    for (const { command, prints } of steps) {
      const [, config] = /^cpns start --config (\S+) > \S+ &$/.exec(command) ?? []
      const expected = comparable(prints)
      if (config !== undefined) await start(resolve(config))
      else if (command.startsWith('cpns status')) await shownInTime(command, expected)
      else assert.is(await printed(command), expected, command)
    }
  } finally {
    process.chdir(before)
  }

  /** Links come up, and servers end, in their own time. */
  async function shownInTime(command: string, expected: string): Promise<void> {
    let last = ''
    const isThere = async () => {
      last = await printed(command)
      return isShown(last, expected)
    }
    await until(isThere, { what: command, everyMs: 100 }).catch(() => assert.is(last, expected, command))
  }
})

test.run()
