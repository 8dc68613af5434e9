import { dirname, join, resolve } from 'node:path'
import { readText } from '../adapters/files.ts'
import { readConfiguration } from '../operations/configuration.ts'
import type { Configuration } from '../operations/configuration-schema.ts'

/** A configuration with its relative paths resolved against the folder that its file stands in. */
export interface NodeFolder {
  readonly configFile: string
  readonly configuration: Configuration
  /** @param path as the configuration has it */
  at(path: string): string
}

/** @throws {FileProblem} {@link InvalidConfiguration} */
export async function openNodeFolder(
  configFile: string,
  flags: Readonly<Record<string, string>> = {},
): Promise<NodeFolder> {
  const text = await readText(configFile)
  const configuration = readConfiguration({ text, name: configFile }, process.env, flags)
  const folder = dirname(resolve(configFile))
  return { configFile, configuration, at: path => resolve(join(folder), path) }
}
