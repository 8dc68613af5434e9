import { z } from 'zod'
import { knownSettings, unwrapped, valueAt } from './configuration.ts'
import { type Configuration, configurationSchema } from './configuration-schema.ts'

/*
 * What differs between two configurations, setting by setting, and which of it a running node can take over. The schema says which settings
 * those are (`reloadable`); all others take a start.
 */

export interface Change {
  /** Dotted; of a table whose keys are names, with the name: `trust.b.example`. */
  readonly setting: string
  /** `undefined`: not set. */
  readonly before: unknown
  readonly after: unknown
  readonly isReloadable: boolean
}

/** Whether a node reads this setting again when it is told to. @param name as in {@link knownSettings} */
export const isReloadable = (name: string): boolean => knownSettings.get(name)?.meta()?.reloadable === true

/** In the order of the schema. The fingerprint of the operator itself is what its own manifest is held to at the start. */
export function changesBetween(before: Configuration, after: Configuration): readonly Change[] {
  return [...knownSettings].flatMap(([name, schema]) => {
    const path = name.split('.')
    const [was, is] = [valueAt(before, path), valueAt(after, path)]
    if (isSame(was, is)) return []
    if (!(unwrapped(schema) instanceof z.ZodRecord)) {
      return [{ setting: name, before: was, after: is, isReloadable: isReloadable(name) }]
    }
    const [wasOf, isOf] = [entriesOf(was), entriesOf(is)]
    return [...new Set([...wasOf.keys(), ...isOf.keys()])].flatMap(key => {
      if (isSame(wasOf.get(key), isOf.get(key))) return []
      const isOwn = name === 'trust' && key === before.operator
      const values = { before: wasOf.get(key), after: isOf.get(key) }
      return [{ setting: `${name}.${key}`, ...values, isReloadable: isReloadable(name) && !isOwn }]
    })
  })
}

/** What holds once everything that can be is taken over from the newer one: the rest is as before. */
export function takenOver(before: Configuration, after: Configuration): Configuration {
  const merged: Record<string, unknown> = structuredClone(before)
  for (const name of knownSettings.keys()) {
    if (isReloadable(name)) put(merged, name.split('.'), valueAt(after, name.split('.')))
  }
  const { [before.operator]: own, ...others } = configurationSchema.shape.trust.parse(merged.trust)
  const pinned = before.trust[before.operator]
  return configurationSchema.parse({
    ...merged,
    trust: pinned === undefined ? others : { ...others, [before.operator]: pinned },
  })
}

function put(into: Record<string, unknown>, [key = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    if (value === undefined) delete into[key]
    else into[key] = value
    return
  }
  const below = into[key]
  if (isTable(below)) put(below, rest, value)
}

/** Values of settings are JSON, in the order of the schema. */
const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const entriesOf = (value: unknown): ReadonlyMap<string, unknown> => new Map(isTable(value) ? Object.entries(value) : [])
