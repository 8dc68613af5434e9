/*
 * Each part of a specification reads the part of `data.json` that it names. Vega-Lite takes sources of one address for the same
 * unless their names differ: fails when two parts would be drawn from the same rows, or from what no run writes.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { vegaLiteSpecs } from '../../../src/simulation/report/vega-lite.ts'
import { runScenario } from '../../../src/simulation/scenario/run.ts'
import { production } from '../production.ts'
import { smallScenario } from '../scenarios.ts'

interface Source {
  readonly name?: string
  readonly url: string
  readonly format: { readonly property: string }
}

/** Every source anywhere inside. */
function sourcesIn(part: unknown): Source[] {
  if (typeof part !== 'object' || part === null) return []
  return isSource(part) ? [part] : Object.values(part).flatMap(sourcesIn)
}

const isSource = (part: object): part is Source => 'url' in part && 'format' in part

test('a source has the name of what it reads, and a run writes that', async () => {
  const { data } = await runScenario(smallScenario(), 3, { production })
  const written = new Set(Object.keys(data))
  for (const [figure, spec] of Object.entries(vegaLiteSpecs)) {
    const sources = sourcesIn(spec)
    assert.ok(sources.length > 0, figure)
    for (const { name, url, format } of sources) {
      assert.is(url, '../data.json', figure)
      assert.is(name, format.property, figure)
      assert.ok(written.has(format.property), `${figure} reads ${format.property}`)
    }
  }
})

test.run()
