import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse as parseYaml, YAMLParseError } from 'yaml'
import { z } from 'zod'
import { nearestName } from '../../operations/nearest-name.ts'
import { MalformedGml, readGml } from '../studies/gml.ts'
import { edgesOf } from '../studies/topology.ts'
import { type Graph, type Scenario, scenarioSchema } from './schema.ts'

/** A scenario that cannot be run. The message names the field, and the nearest one that exists if it is unknown. */
export class BadScenario extends Error {
  override readonly name = 'BadScenario'
}

/** One run that a scenario file asks for. */
export interface PlannedRun {
  readonly scenario: Scenario
  readonly seed: string | number
  /** Values of swept fields, by path. */
  readonly swept: Readonly<Record<string, unknown>>
}

/** The JSON Schema of scenario files, for editors and checkers. */
export const scenarioJsonSchema = (): JsonSchema => {
  const schema: unknown = z.toJSONSchema(scenarioSchema, { io: 'input', unrepresentable: 'any' })
  return { ...(schema as JsonSchema), title: 'A scenario of `cpns simulate`' }
}

/** Reads a scenario, YAML or JSON. @throws {BadScenario} */
export const readScenario = (text: string, file: string): Scenario => parsed(plain(text, file), file)

/** What is asked of a scenario file other than what it says. */
export interface Asked {
  /** Instead of its seeds. */
  readonly seeds?: readonly (string | number)[] | undefined
  /** Fields by path, with values as YAML writes them, such as `run.duration=2m`. */
  readonly set?: readonly string[] | undefined
}

/**
 * The runs of a scenario file: each combination of its sweep with each of its seeds.
 * @throws {BadScenario}
 */
export function planRuns(text: string, file: string, { seeds, set = [] }: Asked = {}): PlannedRun[] {
  const base = set.reduce(withSetting, plain(text, file))
  const { sweep, seed, seeds: range } = parsed(base, file)
  const asked = seeds ?? (range ? Array.from({ length: range.count }, (_, index) => range.from + index) : [seed])
  return combinations(sweep).flatMap(swept => {
    const document = Object.entries(swept).reduce(
      (into, [path, value]) => withValue(into, path.split('.'), value),
      base,
    )
    const scenario = parsed(document, file)
    return asked.map(each => ({ scenario, seed: each, swept }))
  })
}

/** The document with one field set. */
function withSetting(document: unknown, setting: string): unknown {
  const [, path, value] = /^([^=]+)=(.*)$/s.exec(setting) ?? []
  if (path === undefined || value === undefined)
    throw new BadScenario(`"${setting}" sets no field: expected a path and a value, such as run.duration=2m.`)
  return withValue(document, path.split('.'), plain(value, `--set ${setting}`))
}

function plain(text: string, file: string): unknown {
  try {
    return parseYaml(text)
  } catch (error) {
    if (error instanceof YAMLParseError) throw new BadScenario(`${file}: ${error.message.split('\n')[0]}`)
    throw error
  }
}

function parsed(document: unknown, file: string): Scenario {
  const result = scenarioSchema.safeParse(document)
  if (result.success) return withGraphs(result.data, file)
  const issue = deepest(result.error.issues)
  throw new BadScenario(`${file}: ${issue ? messageOf(issue) : 'it is no scenario'}.`)
}

/** The scenario with the graphs that it names as files as edges: from then on it stands for itself. */
function withGraphs(scenario: Scenario, file: string): Scenario {
  const { within, between } = scenario.topology
  if (within.type !== 'gml' && between.type !== 'gml') return scenario
  const topology = {
    within: readGraph(within, file, 'topology.within'),
    between: readGraph(between, file, 'topology.between'),
  }
  return { ...scenario, topology }
}

function readGraph(graph: Graph, file: string, path: string): Graph {
  if (graph.type !== 'gml') return graph
  try {
    const edges = edgesOf(readGml(readFileSync(resolve(dirname(file), graph.file), 'utf8')))
    return { type: 'edges', edges }
  } catch (error) {
    if (!(error instanceof MalformedGml) && !isUnreadable(error)) throw error
    throw new BadScenario(`${file}: ${path}.file: ${graph.file}: ${error.message}`, { cause: error })
  }
}

/** An error of the file system. */
const isUnreadable = (error: unknown): error is Error => error instanceof Error && 'syscall' in error

type Issue = z.core.$ZodIssue

/** Of a union that does not match, the alternative that came furthest says best what is wrong. */
function deepest(issues: readonly Issue[]): Issue | undefined {
  const [issue] = issues
  if (issue?.code !== 'invalid_union') return issue
  const inner = issue.errors.flatMap(alternative => deepest(alternative) ?? [])
  const best = inner.toSorted((a, b) => rank(b) - rank(a))[0]
  return best && rank(best) > 0 ? { ...best, path: [...issue.path, ...best.path] } : issue
}

const rank = ({ path, code }: Issue): number => path.length + (code === 'unrecognized_keys' ? 0.5 : 0)

function messageOf(issue: Issue): string {
  const path = issue.path.join('.')
  if (issue.code !== 'unrecognized_keys') return `${path || 'the scenario'}: ${issue.message}`
  const unknown = issue.keys[0] ?? ''
  const nearest = nearestName(unknown, keysAt(issue.path.map(String)))
  const where = path === '' ? unknown : `${path}.${unknown}`
  return `there is no field "${where}"${nearest === undefined ? '' : `; did you mean "${nearest}"?`}`
}

/** As much of JSON Schema as `z.toJSONSchema` makes. */
export interface JsonSchema {
  readonly title?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, JsonSchema>>
}

/** Fields that there may be at a path of the scenario. */
function keysAt(path: readonly string[]): string[] {
  const root = scenarioJsonSchema()
  const alternatives = (schema: JsonSchema): JsonSchema[] => {
    const named = schema.$ref && root.$defs?.[schema.$ref.replace('#/$defs/', '')]
    return [...(named ? [named] : [schema]), ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]
  }
  const at = path.reduce<JsonSchema[]>(
    (schemas, key) =>
      schemas.flatMap(alternatives).flatMap(({ properties, items }) => properties?.[key] ?? items ?? []),
    [root],
  )
  return at.flatMap(alternatives).flatMap(({ properties }) => Object.keys(properties ?? {}))
}

/** Every combination of the swept values. */
function combinations(sweep: Scenario['sweep']): Record<string, unknown>[] {
  return Object.entries(sweep).reduce<Record<string, unknown>[]>(
    (all, [path, values]) => all.flatMap(one => values.map(value => ({ ...one, [path]: value }))),
    [{}],
  )
}

function withValue(document: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value
  if (Array.isArray(document)) {
    return document.map((item, index) => (String(index) === key ? withValue(item, rest, value) : item))
  }
  const fields = typeof document === 'object' && document !== null ? document : {}
  return { ...fields, [key]: withValue((fields as Record<string, unknown>)[key], rest, value) }
}
