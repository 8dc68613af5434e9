import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

/*
 * The SDK's entry for browsers needs nothing that a browser does not have. The walk follows every import that is left
 * when the types are gone, into the packages too, resolved as a bundler for browsers does; it fails on the first module of
 * Node, on `Buffer` and `process` in our own files, and on a package that has nothing for browsers.
 */
const test = suite('the SDK in browsers')
const root = join(import.meta.dirname, '../..')

interface Found {
  readonly files: Set<string>
  /** Modules of Node, with who wants them. */
  readonly nodeModules: string[]
}

/** Asks for it only where the platform has no `crypto` of its own, which no browser is without. */
const fallback = 'crypto by @hpke/common'

function walk(file: string, found: Found): void {
  if (found.files.has(file)) return
  found.files.add(file)
  for (const specifier of importsOf(file)) {
    const wanted = `${specifier} by ${relative(join(root, 'node_modules'), file).split('/').slice(0, 2).join('/')}`
    if (!specifier.startsWith('node:') && !builtin.has(specifier)) walk(resolveFor(specifier, file), found)
    else if (wanted !== fallback) found.nodeModules.push(wanted)
  }
}

const builtin = new Set(['crypto', 'fs', 'path', 'buffer', 'util', 'stream', 'events', 'os', 'net', 'perf_hooks'])

function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  const source = file.endsWith('.ts') ? stripTypeScriptTypes(text) : text
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const statements = code.matchAll(
    /(?:^|[\n;])\s*(?:import|export)\s+(?:[\w$*{}\s,]+?\sfrom\s*)?["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)/g,
  )
  return [...statements].map(([, stated, called]) => stated ?? called ?? '')
}

function resolveFor(specifier: string, from: string): string {
  if (specifier.startsWith('.')) return join(dirname(from), specifier)
  const parts = specifier.split('/')
  const name = parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
  const folder = packageFolder(name, dirname(from))
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const subpath = `.${specifier.slice(name.length)}`
  const target = manifest.exports
    ? conditional(entryOf(manifest.exports, subpath))
    : (manifest.browser ?? manifest.module ?? manifest.main)
  assert.type(target, 'string', `${specifier} has nothing for browsers (imported by ${relative(root, from)})`)
  return join(folder, target as string)
}

function packageFolder(name: string, from: string): string {
  for (let folder = from; folder !== dirname(folder); folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name)
    try {
      readFileSync(join(candidate, 'package.json'))
      return candidate
    } catch {
      // further up
    }
  }
  throw new Error(`${name} is not installed`)
}

function entryOf(exports: unknown, subpath: string): unknown {
  if (typeof exports === 'string' || !isRecord(exports)) return subpath === '.' ? exports : undefined
  if (!Object.keys(exports).some(key => key.startsWith('.'))) return subpath === '.' ? exports : undefined
  if (subpath in exports) return exports[subpath]
  for (const [pattern, target] of Object.entries(exports)) {
    const [before, after] = pattern.split('*')
    if (after === undefined || !subpath.startsWith(before ?? '') || !subpath.endsWith(after)) continue
    const star = subpath.slice((before ?? '').length, subpath.length - after.length)
    return JSON.parse(JSON.stringify(target).replaceAll('*', star))
  }
  return undefined
}

/** Conditions count in the order in which the package lists them. */
function conditional(entry: unknown): string | undefined {
  if (typeof entry === 'string') return entry
  if (!isRecord(entry)) return undefined
  for (const [condition, target] of Object.entries(entry)) {
    if (!['browser', 'module', 'import', 'default'].includes(condition)) continue
    const found = conditional(target)
    if (found !== undefined) return found
  }
  return undefined
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

const browser: Found = { files: new Set(), nodeModules: [] }
walk(join(root, 'src/client/index.ts'), browser)
const own = [...browser.files].filter(file => file.startsWith(join(root, 'src/')))

test('imports no module of Node, directly or through a package', () => {
  assert.equal(browser.nodeModules, [])
  assert.ok(own.length > 20, 'the walk went somewhere')
  assert.ok([...browser.files].some(file => file.includes('node_modules/yjs/')))
})

test('names neither Buffer nor process nor require in its own files', () => {
  for (const file of own) {
    const code = stripTypeScriptTypes(readFileSync(file, 'utf8')).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    assert.not.match(code, /\b(Buffer|process|require|__dirname|setImmediate)\b(?!['"])/, relative(root, file))
  }
})

test('takes of the server only what is shared, and of the adapters only the browser’s', () => {
  const folders = new Set(
    own.map(file => relative(join(root, 'src'), file)).filter(file => !file.startsWith('client/')),
  )
  const adapters = [...folders].filter(file => file.startsWith('adapters/'))
  assert.equal(adapters.sort(), [
    'adapters/browser/crypto.ts',
    'adapters/browser/http.ts',
    'adapters/browser/network-meter.ts',
    'adapters/browser/policy-store.ts',
    'adapters/browser/replica-store.ts',
    'adapters/browser/sha256.ts',
    'adapters/browser/websocket.ts',
    'adapters/clock.ts',
    'adapters/hpke.ts',
  ])
  for (const file of folders) assert.not.match(file, /^(actor|operations|simulation|cli|node\.ts)/)
})

test('the walk does find modules of Node where they are', () => {
  const found: Found = { files: new Set(), nodeModules: [] }
  walk(join(root, 'src/client/node.ts'), found)
  assert.ok(found.nodeModules.some(line => line.startsWith('node:http by ../src')))
})

test.run()
