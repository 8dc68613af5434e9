import { stringify } from 'smol-toml'
import { z } from 'zod'
import { type OperatorPolicy, operatorPolicy } from '../access/policy/rules.ts'
import { InvalidConfiguration, parsedToml, unwrapped } from './configuration.ts'
import { nearestName } from './nearest-name.ts'

/*
 * An operator's policy as a TOML file for people to edit: `[standard]`, `[emergency]`, `takes`.
 */

/** @throws {InvalidConfiguration} names the setting that is wrong, and the nearest known one if it is unknown. */
export function readPolicy(toml: { readonly text: string; readonly name: string }): OperatorPolicy {
  const { name } = toml
  const parsed = operatorPolicy.safeParse(parsedToml(toml))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  if (!issue) throw new InvalidConfiguration(`${name}: this is no policy.`)
  if (issue.code !== 'unrecognized_keys') {
    throw new InvalidConfiguration(`${name}: ${issue.path.join('.') || 'the policy'}: ${issue.message}.`)
  }
  const [key = ''] = issue.keys
  const nearest = nearestName(key, namesAt(operatorPolicy, issue.path))
  const path = (last: string) => [...issue.path, last].join('.')
  throw new InvalidConfiguration(
    `${name}: there is no setting "${path(key)}"${nearest === undefined ? '' : `; did you mean "${path(nearest)}"?`}`,
  )
}

/** The settings that a part of the schema knows. */
function namesAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const inner = unwrapped(schema)
  const [first, ...rest] = path
  if (inner instanceof z.ZodArray) return namesAt(inner.element as z.ZodType, rest)
  if (!(inner instanceof z.ZodObject)) return []
  const shape: Readonly<Record<string, z.ZodType>> = inner.shape
  if (first === undefined) return Object.keys(shape)
  const next = shape[String(first)]
  return next ? namesAt(next, rest) : []
}

/** With everything that holds, defaults included. */
export const formatPolicy = (policy: OperatorPolicy, comment: string): string =>
  `# ${comment}\n\n${stringify(policy)}\n`
