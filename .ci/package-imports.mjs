// Imports what the installed package exports, from the folder given, as a user would.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const from = createRequire(join(process.argv[2], 'package.json'))
for (const [name, wanted] of [
  ['cpns', 'createNode'],
  ['cpns/client', 'connect'],
  ['cpns/client/node', 'openGateway'],
]) {
  const module = await import(pathToFileURL(from.resolve(name)).href)
  if (typeof module[wanted] !== 'function') throw new Error(`${name} does not export ${wanted}`)
  console.log(`${name} exports ${Object.keys(module).length} names`)
}
