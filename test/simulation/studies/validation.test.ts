import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { amnesia, losses } from '../../../src/simulation/studies/amnesia/amnesia.ts'
import type { AmnesiaStudy, ProtocolStudy } from '../../../src/simulation/studies/description.ts'
import { protocolRows, UnusableDescription } from '../../../src/simulation/studies/protocol-study.ts'
import type { Row } from '../../../src/simulation/studies/row.ts'
import {
  BadDescription,
  passes,
  readDescription,
  runValidation,
  validationFolder,
} from '../../../src/simulation/studies/validate.ts'
import { production } from '../production.ts'

/*
 * The studies that come with the package reproduce what they say, in reduced sizes (the full ones are `cpns simulate
 * validate`); a protocol or a latency that is wrong shows as a row that differs. A description that is wrong is refused
 * with the place.
 */

const file = (name: string) => join(validationFolder, name)

async function rowsOf(rows: AsyncIterable<Row>): Promise<Row[]> {
  const all: Row[] = []
  for await (const row of rows) all.push(row)
  return all
}

const told = ({ what, ours, published, verdict }: Row) => `${what}: ${ours.value} for ${published?.value} ${verdict}`

function allPass(rows: readonly Row[]): void {
  assert.ok(rows.length > 0)
  const failed = rows.filter(({ verdict }) => !passes(verdict))
  assert.equal(failed.map(told), [])
}

test('Enes: what each algorithm transmits for one element, with a tenth of the events', async () => {
  const study = (await readDescription(file('enes.yaml'))) as ProtocolStudy
  // Those whose figures the paper's own closed forms give; the others depend on how long they run.
  const runs = study.runs
    .filter(({ name }) => !/state$|delta$|mesh,15 delta BP$/.test(name))
    .map(run => ({
      ...run,
      parameters: { ...run.parameters, eventsPerNode: 10 },
      expect: run.expect.map(each => ({ ...each, value: (each.value ?? Number.NaN) / 10 })),
    }))
  assert.is(runs.length, 11)
  allPass(await rowsOf(protocolRows({ ...study, runs }, { production, file: file('enes.yaml') })))
})

test('Demers: a few runs of each row', async () => {
  const rows = await rowsOf(runValidation({ production, files: [file('demers.yaml')], share: 0.1 }))
  allPass(rows)
  assert.ok(rows.filter(({ verdict }) => verdict === 'reproduced').length > 30)
  const rare = rows.find(({ what }) => what === 'pull, feedback and counter, k=3: residue')
  assert.is.not(rare?.verdict, 'differs', 'that nobody was missed in a few runs does not contradict 4 in a million')
})

test('PBS: fewer trials', async () => {
  const study = (await readDescription(file('pbs.yaml'))) as ProtocolStudy
  const runs = study.runs.map(run => ({ ...run, parameters: { ...run.parameters, trials: 6_000 } }))
  const rows = await rowsOf(protocolRows({ ...study, runs }, { production, file: file('pbs.yaml'), share: 0.2 }))
  allPass(rows)
  for (const { what, ours } of rows) if (what.includes('R=3')) assert.is(ours.value, 0)
})

for (const loss of losses) {
  test(`amnesia, ${loss}: the naive replica diverges for good, ours does not and loses nothing`, async () => {
    const options = { loss, writesBefore: 12, writesAfter: 15, seed: 7, production }
    const naive = await amnesia({ ...options, kind: 'naive' })
    assert.ok(naive.sameVersion && !naive.sameContent)
    const ours = await amnesia({ ...options, kind: 'ours' })
    assert.ok(ours.sameVersion && ours.sameContent)
    assert.is(ours.lostWrites, 0)
    // Without a power cut in the middle of a write, everything was acknowledged.
    assert.is(ours.held, loss === 'unsynced' ? 26 : 27)
  })
}

test('all descriptions that come with the package can be read, and say where their figures come from', async () => {
  for (const name of ['amnesia.yaml', 'demers.yaml', 'enes.yaml', 'pbs.yaml']) {
    const description: ProtocolStudy | AmnesiaStudy = await readDescription(file(name))
    assert.ok(description.source.length > 20 && description.notes)
  }
})

test('a description of one’s own: its protocol from a file, its paths from where it stands, progress while it runs', async () => {
  const own = join(validationFolder, '../studies/push-pull.yaml')
  const progress: string[] = []
  const rows = await rowsOf(
    runValidation({ production, files: [own], share: 0.04, progress: ({ doing }) => progress.push(doing) }),
  )
  allPass(rows)
  assert.equal(progress.slice(0, 3), ['n=100', 'n=100', 'n=1000'])
  assert.is(rows.at(-1)?.verdict, 'told')
})

test('a description that is wrong is refused, with the place', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cpns-study-'))
  try {
    const head = 'study: protocol\ntitle: t\nsource: s\ntopology: {type: ring, n: 3}\n'
    const cases: readonly (readonly [text: string, message: RegExp])[] = [
      [`${head}runs: [`, /line 5/],
      [`${head}runs: []\n`, /runs/],
      [
        `${head}runs: [{name: a, expect: [{measure: elemnts}]}]`,
        /"elemnts" is no measure.*runs\[0\]\.expect\[0\]\.measure/s,
      ],
      [`${head}runs: [{name: a, topolgy: {}, expect: [{measure: elements}]}]`, /topolgy/],
      [`${head}runs: [{name: a, expect: [{measure: elements, value: 3}]}]`, /tolerance/],
    ]
    for (const [index, [text, message]] of cases.entries()) {
      const path = join(folder, `${index}.yaml`)
      await writeFile(path, text)
      const error = await rowsOf(runValidation({ production, files: [path] })).catch((reason: unknown) => reason)
      assert.instance(error, BadDescription)
      assert.match(String(error), message)
    }
    for (const protocol of ['rumor', './none.mjs']) {
      const path = join(folder, 'unusable.yaml')
      await writeFile(join(folder, 'none.mjs'), 'export default { name: "none" }')
      await writeFile(path, `${head}protocol: ${protocol}\nruns: [{name: a, expect: [{measure: elements}]}]`)
      const error = await rowsOf(runValidation({ production, files: [path] })).catch((reason: unknown) => reason)
      assert.instance(error, UnusableDescription)
      assert.match(String(error), protocol === 'rumor' ? /there are .*rumour/ : /exports no protocol/)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
})

test.run()
