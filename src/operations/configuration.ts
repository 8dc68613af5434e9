import { parse, TomlError } from 'smol-toml'
import { z } from 'zod'
import { type Configuration, configurationSchema } from './configuration-schema.ts'
import { nearestName } from './nearest-name.ts'

/*
 * Where settings are read from: a TOML file, then environment variables `CPNS_…`, then flags; the later wins.
 */

/** A setting that is wrong; the message names it, where it was set, and the nearest known name if it is unknown. */
export class InvalidConfiguration extends Error {
  override readonly name = 'InvalidConfiguration'
}

/**
 * What the environment says besides settings: secrets, which no file of settings should hold, and who and where a client of a
 * running node is.
 */
const otherVariables = new Set([
  'CPNS_PASSPHRASE',
  'CPNS_NEW_PASSPHRASE',
  'CPNS_PSK',
  'CPNS_URL',
  'CPNS_SERVER',
  'CPNS_IDENTITY',
])

/** One place that settings come from, with what to call it in an error. */
interface Source {
  readonly name: string
  readonly values: Readonly<Record<string, unknown>>
}

/**
 * Reads a configuration.
 *
 * @param toml text of the file, and its name for errors
 * @param environment variables; only `CPNS_…` count: `CPNS_CLIENTS_PORT` sets `clients.port`
 * @param flags dotted settings from the command line, such as `{ 'clients.port': '4681' }`
 * @throws {InvalidConfiguration}
 */
export function readConfiguration(
  toml: { readonly text: string; readonly name: string },
  environment: Readonly<Record<string, string | undefined>> = {},
  flags: Readonly<Record<string, string>> = {},
): Configuration {
  return configurationOf(sourcesOf(toml, environment, flags))
}

/** A setting as it holds. */
export interface EffectiveSetting {
  /** Dotted, such as `clients.port`. */
  readonly name: string
  /** `undefined`: not set, and nothing stands in for it. */
  readonly value: unknown
  /** The file, `environment` or `flags`; `default` when nobody has said anything. */
  readonly source: string
}

/** All settings, in the order of the schema, with who said each. @throws {InvalidConfiguration} as {@link readConfiguration} */
export function effectiveSettings(...from: Parameters<typeof readConfiguration>): readonly EffectiveSetting[] {
  const sources = sourcesOf(...from)
  const configuration = configurationOf(sources)
  return [...knownSettings.keys()].map(name => {
    const path = name.split('.')
    const source = lastSaying(sources, path)?.name ?? 'default'
    return { name, value: valueAt(configuration, path), source }
  })
}

function sourcesOf(
  toml: { readonly text: string; readonly name: string },
  environment: Readonly<Record<string, string | undefined>> = {},
  flags: Readonly<Record<string, string>> = {},
): readonly Source[] {
  const sources: Source[] = [
    { name: toml.name, values: parsedToml(toml) },
    { name: 'environment', values: tree(environmentSettings(environment)) },
    { name: 'flags', values: tree(flags) },
  ]
  for (const source of sources) refuseUnknown(source)
  return sources
}

function configurationOf(sources: readonly Source[]): Configuration {
  const merged = sources.reduce<Record<string, unknown>>((into, source) => merge(into, source.values), {})
  const result = configurationSchema.safeParse(merged)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const path = issue?.path.join('.') ?? ''
  const source = lastSaying(sources, issue?.path ?? []) ?? sources[0]
  throw new InvalidConfiguration(`${source?.name}: ${path}: ${issue?.message}.`)
}

/** Who wins. */
const lastSaying = (sources: readonly Source[], path: readonly PropertyKey[]): Source | undefined =>
  sources.findLast(({ values }) => valueAt(values, path) !== undefined)

/** @throws {InvalidConfiguration} says where it is no TOML */
export function parsedToml({ text, name }: { readonly text: string; readonly name: string }): Record<string, unknown> {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    throw new InvalidConfiguration(`${name}:${error.line}:${error.column}: not TOML: ${error.message.split('\n')[0]}`)
  }
}

/** The dotted settings that have a default or may be given one, with their schema. `trust` takes any operator. */
export const knownSettings: ReadonlyMap<string, z.ZodType> = settingsOf(configurationSchema)

function settingsOf(schema: z.ZodType, prefix = ''): Map<string, z.ZodType> {
  const inner = unwrapped(schema)
  if (!(inner instanceof z.ZodObject)) return new Map([[prefix, schema]])
  const entries = Object.entries(inner.shape as Record<string, z.ZodType>)
  return new Map(entries.flatMap(([key, value]) => [...settingsOf(value, prefix === '' ? key : `${prefix}.${key}`)]))
}

/** What stands behind a default, or behind that it may be left out. */
export function unwrapped(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return unwrapped(schema.unwrap() as z.ZodType)
  }
  return schema
}

function environmentSettings(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const byVariable = new Map([...knownSettings.keys()].map(path => [variableOf(path), path]))
  const settings: Record<string, string> = {}
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith('CPNS_') || value === undefined || otherVariables.has(variable)) continue
    const path = byVariable.get(variable)
    if (path === undefined) throw unknown('environment', variable, [...byVariable.keys()])
    settings[path] = value
  }
  return settings
}

const variableOf = (path: string) => `CPNS_${path.replace(/[A-Z]/g, '_$&').replaceAll('.', '_').toUpperCase()}`

/** Dotted text settings as a tree, each value read as its schema wants it: numbers, booleans, comma-separated lists. */
function tree(settings: Readonly<Record<string, string>>): Record<string, unknown> {
  let result: Record<string, unknown> = {}
  for (const [path, text] of Object.entries(settings)) {
    const nested = path
      .split('.')
      .reduceRight<unknown>((value, key) => ({ [key]: value }), readAs(knownSettings.get(path), text))
    result = merge(result, nested as Record<string, unknown>)
  }
  return result
}

function readAs(schema: z.ZodType | undefined, text: string): unknown {
  const inner = schema && unwrapped(schema)
  if (inner instanceof z.ZodNumber && /^-?\d+(\.\d+)?$/.test(text)) return Number(text)
  if (inner instanceof z.ZodBoolean && /^(true|false)$/.test(text)) return text === 'true'
  if (inner instanceof z.ZodArray) return text === '' ? [] : text.split(',')
  return text
}

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function merge(base: Readonly<Record<string, unknown>>, over: Readonly<Record<string, unknown>>) {
  const result: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const below = result[key]
    result[key] = isTable(value) && isTable(below) ? merge(below, value) : value
  }
  return result
}

/** @param path of keys; `undefined` where there is nothing */
export function valueAt(values: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (isTable(value) ? value[String(key)] : undefined), values)
}

function refuseUnknown(source: Source): void {
  const paths = [...knownSettings.keys()]
  const visit = (values: Readonly<Record<string, unknown>>, prefix: string): void => {
    for (const [key, value] of Object.entries(values)) {
      const path = prefix === '' ? key : `${prefix}.${key}`
      if (path === 'trust' || knownSettings.has(path)) continue
      if (isTable(value) && paths.some(candidate => candidate.startsWith(`${path}.`))) visit(value, path)
      else throw unknown(source.name, path, paths)
    }
  }
  visit(source.values, '')
}

function unknown(source: string, name: string, candidates: readonly string[]): InvalidConfiguration {
  const nearest = nearestName(name, candidates)
  return new InvalidConfiguration(`${source}: there is no setting "${name}"; did you mean "${nearest}"?`)
}
