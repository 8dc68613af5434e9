import { readText } from '../../adapters/files.ts'
import type { Configuration } from '../configuration-schema.ts'
import { adminTokensPath } from '../control-path.ts'

/** Every text in the files of a server that nobody else may have. A file that is not there has none; one that cannot be read does not stop us. */
export async function secretsOf(
  configuration: Configuration,
  at: (path: string) => string,
): Promise<readonly string[]> {
  const { keys, clients, keySource } = configuration
  const files = [
    ...[keys.server, keys.secrets, keys.subscribers, 'keys/root.key', configuration.subscribers].map(at),
    adminTokensPath(configuration, at),
    ...[clients.key, keySource?.key, keySource?.tokenFile].flatMap(path => (path === undefined ? [] : [at(path)])),
  ]
  const texts = await Promise.all(files.map(file => readText(file).catch(() => '')))
  return texts.flatMap(secretsIn)
}

/** All texts that the JSON holds, but for what is public; of anything else, such as PEM or a token, its lines. */
function secretsIn(text: string): string[] {
  try {
    return [...textsIn(JSON.parse(text))]
  } catch {
    return text
      .split('\n')
      .map(line => line.trim())
      .filter(line => line !== '' && !line.startsWith('-----'))
  }
}

const isPublic = (name: string): boolean =>
  /public/i.test(name) || ['version', 'identity', 'name', 'kind'].includes(name)

function* textsIn(value: unknown, name = ''): Generator<string> {
  if (isPublic(name)) return
  if (typeof value === 'string') yield value
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) yield* textsIn(inner, Array.isArray(value) ? name : key)
}
