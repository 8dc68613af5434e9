/*
 * What is measured anew takes the place of what was there of the same name, and of nothing else; what is read is what was written; the
 * table says of each scenario that it is met, missed, failed or not measured, and leads to a part of a page that is there.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Figure, isMissed } from '../bench.ts'
import { overview } from './overview.ts'
import { merged, type Result, readResults, withOverview, writeResults } from './report.ts'
import { scenarios } from './scenarios.ts'

const top = new URL('../../../', import.meta.url)
const machine = { node: 'v24.0.0', system: 'Linux 6', arch: 'x64', cpus: 2, cpu: 'Some', memoryBytes: 1 }
const run = (bench: string, commit = 'a'.repeat(40)) => ({
  ...{ bench, summary: `what ${bench} measures`, machine, commit, isQuick: false },
  ...{ ended: '2026-11-27T15:00:00.000Z', load: [1, 2, 3] },
})
const of = (bench: string, figures: Figure[], isQuick = false): Result => ({ ...run(bench), isQuick, figures })
const bound = (name: string, value: number, atMost: number): Figure => ({ name, value, unit: 'µs', atMost })

test('a result takes the place of that of the same benchmark alone, and what was only tried of none that was measured', () => {
  const [one, two] = [of('one', [bound('a', 1, 2)]), of('two', [])]
  assert.equal(merged([one], two), [one, two])
  const anew = of('one', [bound('a', 3, 2)])
  assert.equal(merged([one, two], anew), [anew, two])
  const tried = of('one', [], true)
  assert.equal(merged([one, two], tried), [one, two])
  assert.equal(merged([tried, two], one), [one, two])
  const failed: Result = { ...run('one'), failure: 'No.' }
  assert.equal(merged([one, two], failed), [failed, two])
})

test('what is written is read again, and what was not measured stays missed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cpns-report-'))
  try {
    const file = join(folder, 'bench.json')
    assert.equal(await readResults(file), [])
    const results = [of('one', [{ ...bound('a', Number.NaN, 2), samples: 5, least: 1, most: 3 }])]
    await writeResults(file, results, [])
    const again = await readResults(file)
    assert.equal(again, results)
    assert.equal(again.flatMap(each => ('figures' in each ? each.figures.filter(isMissed) : [])).length, 1)
    assert.ok(readFileSync(join(folder, 'bench.md'), 'utf8').includes('| a | none of 5 | ≤ 2 ✘ |'))
    for (const other of ['{}', 'no JSON', '{"version": 1, "results": [{"bench": "one"}]}']) {
      writeFileSync(file, other)
      await readResults(file).then(
        () => assert.unreachable(),
        ({ message }) => assert.match(message, 'holds no results of benchmarks'),
      )
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('the table says what is met, missed, failed and not measured, beside what, at which commit', () => {
  const text = overview([
    of('fan-out', [
      { name: 'this server, server CPU for a delivery', value: 11.04, unit: 'µs', samples: 5, least: 10, most: 12 },
      { name: 'bare ws, server CPU for a delivery', value: 7.3, unit: 'µs' },
      { name: 'this server beside bare ws', value: 1.47, unit: '×', atMost: 1.1 },
    ]),
    { ...run('crash', `${'b'.repeat(40)}-dirty`), failure: 'It\nended | early.' },
    of('guard', [bound('fast', 1, 2), bound('slow', 3, 2)]),
    of('store', [bound('fast', 1, 2)]),
  ])
  const row = (part: string) => text.split('\n').find(line => line.includes(part)) ?? ''
  assert.match(row('[`fan-out`]'), '11 µs (10 to 12)')
  assert.match(row('[`fan-out`]'), 'bare ws 7.3 µs; y-websocket not measured')
  assert.match(row('[`fan-out`]'), '11 µs (10 to 12); this server beside bare ws: 1.47 × | ≤ 1.1 × | **missed**')
  assert.match(row('[`crash`]'), 'failed: It ended \\| early. |')
  assert.match(row('[`guard`]'), '1 of 2 figures | all | **missed**: slow, 3 µs, ≤ 2 |')
  assert.match(row('[`store`]'), '1 of 1 figures | all | met |')
  assert.match(row('[`idle`]'), 'not measured |')
  assert.match(text, 'commit aaaaaaaaaaaa, 2026-11-27, load when each ended 1.0 to 1.0: `fan-out`, `guard`, `store`.')
  assert.match(text, 'commit bbbbbbbbbbbb-dirty')
})

test('the table takes the place of what stands between the marks of a page, and of nothing else', () => {
  const page = 'before\n<!-- bench -->\nstale\n<!-- /bench -->\nafter\n'
  const text = withOverview(page, [], 'a page')
  assert.ok(text.startsWith('before\n<!-- bench -->\n| scenario |'))
  assert.ok(text.endsWith('\n<!-- /bench -->\nafter\n'))
  assert.not(text.includes('stale'))
  assert.is(withOverview(text, [], 'a page'), text)
  assert.throws(() => withOverview('<!-- /bench --> <!-- bench -->', [], 'a page'), 'a page has no')
  assert.ok(withOverview(readFileSync(new URL('README.md', top), 'utf8'), [], 'README.md').includes('| scenario |'))
})

test('each scenario leads to a heading of a page of this project', () => {
  for (const { page } of scenarios) {
    const [path = '', anchor] = page.split('#')
    const headings = readFileSync(new URL(path, top), 'utf8').matchAll(/^#+ (.+)$/gm)
    assert.ok([...headings].map(([, heading = '']) => anchorOf(heading)).includes(anchor ?? ''), page)
  }
})

/** As GitHub makes them. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
    .replaceAll(' ', '-')

test.run()
