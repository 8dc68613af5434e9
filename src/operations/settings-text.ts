import { stringify } from 'smol-toml'
import { z } from 'zod'
import type { EffectiveSetting } from './configuration.ts'
import { configurationSchema } from './configuration-schema.ts'

/** Settings as TOML that means the same, each with who said it; what is not set stands there as a comment. */
export function formatSettings(settings: readonly EffectiveSetting[]): string {
  const tables = Map.groupBy(settings, ({ name }) => name.split('.').slice(0, -1).join('.'))
  const lines: string[] = []
  const pins: string[] = []
  for (const [table, inside] of tables) {
    // A table that is there counts as set.
    const isSet = inside.some(({ value }) => value !== undefined)
    if (table !== '') lines.push('', isSet ? `[${table}]` : `# [${table}]`)
    for (const { name, value, source } of inside) {
      const key = name.slice(table === '' ? 0 : table.length + 1)
      if (isTable(value)) pins.push('', `[${name}]  # ${source}`, stringify(value).trimEnd())
      else if (value === undefined) lines.push(`# ${key} is not set`)
      else lines.push(`${stringify({ [key]: value }).trimEnd()}  # ${source}`)
    }
  }
  return [...lines, ...pins].join('\n').trimStart()
}

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The JSON Schema of a configuration file, for editors and for checks elsewhere. */
export const configurationJsonSchema = (): object => ({
  title: 'Configuration of a CPNS node (cpns.toml)',
  $comment:
    'A running node takes over what is reloadable at cpns reload, POST /v1/reload and SIGHUP; all else takes a start.',
  ...z.toJSONSchema(configurationSchema, { io: 'input' }),
})
