/*
 * The rules of the house hold by check, not by habit: outside of the adapters no clock, timer, randomness, WebCrypto or
 * I/O passes the linter, and no import points upwards. Each rule is shown to catch what it is for; a rule that was
 * switched off, or that matches nothing, fails here.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { importsOf, objection } from '../../.ci/dependencies.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const biome = join(root, 'node_modules/@biomejs/biome/bin/biome')

const banned = {
  'Date.now': 'export const now = () => Date.now()',
  'new Date': 'export const now = () => new Date()',
  setTimeout: 'setTimeout(() => {}, 1)',
  setInterval: 'setInterval(() => {}, 1)',
  setImmediate: 'setImmediate(() => {})',
  'performance.now': 'export const now = () => performance.now()',
  'Math.random': 'export const draw = () => Math.random()',
  'crypto.randomUUID': 'export const id = () => crypto.randomUUID()',
  'crypto.getRandomValues': 'export const id = () => crypto.getRandomValues(new Uint8Array(1))',
  WebCrypto: "export const digest = () => crypto.subtle.digest('SHA-256', new Uint8Array())",
  'AbortSignal.timeout': 'export const signal = () => AbortSignal.timeout(1)',
  'the global object': 'export const now = () => globalThis.performance.now()',
  'node:fs': "import { readFile } from 'node:fs/promises'\nexport const read = readFile",
  ws: "import { WebSocket } from 'ws'\nexport const Socket = WebSocket",
  libp2p: "import { createLibp2p } from 'libp2p'\nexport const create = createLibp2p",
}

/** The names of the probes that the linter finds fault with, when each stands as a file of `folder`. */
function faulted(folder: string): string[] {
  const house = mkdtempSync(join(tmpdir(), 'cpns-rules-'))
  try {
    for (const rule of ['.biome.json', '.config', '.gitignore'])
      cpSync(join(root, rule), join(house, rule), { recursive: true })
    mkdirSync(join(house, folder), { recursive: true })
    const names = Object.keys(banned)
    for (const [index, source] of Object.values(banned).entries()) {
      writeFileSync(join(house, folder, `probe${index}.ts`), `${source}\n`)
    }
    const { stdout } = spawnSync(
      process.execPath,
      [biome, 'lint', '--reporter=github', '--max-diagnostics=none', '.'],
      {
        cwd: house,
        encoding: 'utf8',
      },
    )
    return names.filter((_, index) => stdout.includes(`probe${index}.ts`))
  } finally {
    rmSync(house, { recursive: true })
  }
}

for (const folder of ['src/actor', 'src/document', 'src/access', 'src/client', 'src/operations']) {
  test(`clocks, randomness and I/O are banned from ${folder}`, () => {
    assert.equal(faulted(folder), Object.keys(banned))
  })
}

test('the adapters may use them', () => {
  assert.equal(faulted('src/adapters'), [])
})

test('imports point downwards', () => {
  assert.is(objection('inventory/view.ts', 'document/names.ts'), undefined)
  assert.ok(objection('document/entry.ts', 'federation/manifest.ts'))
  assert.ok(objection('inventory/view.ts', 'access/protocol.ts'))
  assert.ok(objection('actor/system.ts', 'document/names.ts'))
})

test('no domain folder imports an adapter, and the client takes only what is shared', () => {
  for (const folder of ['actor', 'document', 'federation', 'inventory', 'access']) {
    assert.ok(objection(`${folder}/any.ts`, 'adapters/clock.ts'), folder)
  }
  assert.is(objection('client/inventory-reader.ts', 'inventory/view.ts'), undefined)
  assert.ok(objection('client/inventory-reader.ts', 'federation/trust.ts'))
  assert.ok(objection('client/inventory-reader.ts', 'adapters/clock.ts'))
})

test('every way of importing is seen', () => {
  const source = [
    "import { a } from './a.ts'",
    "import type { b } from '../b.ts'",
    "export * from './c.ts'",
    'import {',
    '  d,',
    "} from './d.ts'",
    "import './e.ts'",
    "const f = await import('./f.ts')",
  ].join('\n')
  assert.equal(importsOf(source), ['./a.ts', '../b.ts', './c.ts', './d.ts', './e.ts', './f.ts'])
})

test.run()
