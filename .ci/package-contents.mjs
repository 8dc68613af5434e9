// Holds what the tarball has unpacked against what it is to have: the program and its types, made from sources that are there now, what an
// operator and a researcher use of the examples, and nothing else. Prints what is too much or missing, and exits with 1 then.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'

const folder = process.argv[2]
const maxBytes = 14 * 2 ** 20

const wanted = [
  'LICENSE',
  'README.md',
  'package.json',
  'dist/cli/main.js',
  'dist/cli/sqlite-search-thread.js',
  'dist/cli/third-party-licences.txt',
  'dist/operations/launch.d.ts',
  'dist/client/index.d.ts',
  'examples/deploy/cpns.service',
  'examples/deploy/Containerfile',
]
const allowed = [
  /^(LICENSE|README\.md|package\.json)$/,
  /^dist\/[\w./-]+\.(js|d\.ts)$/,
  /^dist\/cli\/third-party-licences\.txt$/,
  // The page of the console, and the language of the wire, are no programs of Node.
  /^dist\/[\w./-]+\.(css|html|proto|svg)$/,
  /^examples\/deploy\/[\w.-]+$/,
  /^examples\/simulation\/[\w./-]+\.(yaml|json|csv|tsv|md)$/,
]

const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter(entry => entry.isFile())
  .map(entry => relative(folder, join(entry.parentPath, entry.name)))
  .filter(path => !path.startsWith('node_modules/'))

const faults = [
  ...wanted.filter(path => !files.includes(path)).map(path => `${path} is missing`),
  ...files.filter(path => !allowed.some(pattern => pattern.test(path))).map(path => `${path} does not belong there`),
  ...files.filter(isOrphan).map(path => `${path} has no source any more`),
]
const bytes = files.reduce((sum, path) => sum + statSync(join(folder, path)).size, 0)
if (bytes > maxBytes) faults.push(`It has ${bytes} bytes, more than ${maxBytes}`)
if ((statSync(join(folder, 'dist/cli/main.js')).mode & 0o111) === 0) faults.push('dist/cli/main.js cannot be run')

for (const fault of faults) console.error(fault)
if (faults.length > 0) process.exit(1)
console.log(`The package has ${files.length} files, ${(bytes / 2 ** 20).toFixed(1)} MiB.`)

/** What was compiled once and is nobody's any more. The parts of the command are not one source each. */
function isOrphan(path) {
  if (path.startsWith('dist/cli/')) return false
  const [, name] = /^dist\/(.+?)(?:\.d\.ts|\.js)$/.exec(path) ?? []
  return name !== undefined && !existsSync(join('src', `${name}.ts`)) && !existsSync(join('src', `${name}.js`))
}
