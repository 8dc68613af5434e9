// Holds the imports against the layout: they point downwards, no domain folder imports an adapter, and the client takes
// only what a browser may have of the server. Prints every import that breaks a rule and exits 1.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** For each folder of src, the folders that it may import; itself is understood. */
const allowed = {
  ports: [],
  dense: [],
  actor: ['ports'],
  adapters: ['ports'],
  document: ['actor', 'ports'],
  federation: ['dense', 'document', 'actor', 'ports'],
  commands: ['federation', 'document', 'actor', 'ports'],
  inventory: ['dense', 'commands', 'federation', 'document', 'actor', 'ports'],
  storage: ['commands', 'federation', 'document', 'actor', 'ports'],
  channels: ['commands', 'federation', 'document', 'actor', 'ports'],
  access: ['inventory', 'storage', 'channels', 'commands', 'federation', 'document', 'actor', 'ports'],
  node: ['access', 'inventory', 'storage', 'channels', 'commands', 'federation', 'document', 'actor', 'ports'],
  operations: [
    'adapters',
    'node',
    'access',
    'inventory',
    'storage',
    'channels',
    'commands',
    'federation',
    'document',
    'actor',
    'ports',
  ],
  simulation: [
    'node',
    'operations',
    'client',
    'access',
    'inventory',
    'storage',
    'channels',
    'commands',
    'federation',
    'document',
    'actor',
    'ports',
  ],
  cli: ['simulation', 'operations', 'node', 'client', 'adapters', 'federation', 'document', 'ports'],
  client: ['ports'],
}

/** The files of the server that the client shares: pure, and fit for a browser. */
const sharedWithClient = new Set([
  'access/frames.ts',
  'access/handshake.ts',
  'access/json-rpc.ts',
  'access/policy/methods.ts',
  'access/policy/rules.ts',
  'access/policy/served-policy.ts',
  'access/roaming/methods.ts',
  'access/protocol.ts',
  'channels/fields.ts',
  'channels/methods.ts',
  'commands/common-parameters.ts',
  'commands/fields.ts',
  'commands/framing.ts',
  'document/documents.ts',
  'document/names.ts',
  'document/registers-view.ts',
  'federation/command.ts',
  'federation/durability.ts',
  'inventory/capabilities/methods.ts',
  'inventory/administrators.ts',
  'federation/proof.ts',
  'inventory/conflicts.ts',
  'inventory/fields.ts',
  'inventory/forwarding/methods.ts',
  'inventory/groups/methods.ts',
  'inventory/groups/view.ts',
  'inventory/invitations/methods.ts',
  'inventory/gateways/active.ts',
  'inventory/gateways/methods.ts',
  'inventory/inventory-shape.ts',
  'inventory/methods.ts',
  'inventory/presence/methods.ts',
  'inventory/records.ts',
  'inventory/registration/certificate.ts',
  'inventory/registration/credential.ts',
  'inventory/registration/methods.ts',
  'inventory/registration/seal.ts',
  'inventory/registration/session-proof.ts',
  'inventory/secure/keys.ts',
  'inventory/secure/limits.ts',
  'inventory/secure/messages.ts',
  'inventory/secure/methods.ts',
  'inventory/usage/methods.ts',
  'inventory/view.ts',
  'storage/devices/preferences.ts',
  'storage/devices/preferences.ts',
  'storage/fields.ts',
  'storage/methods/devices.ts',
  'storage/names.ts',
  'storage/objects.ts',
  'storage/methods/media.ts',
  'storage/methods/objects.ts',
  'storage/methods/search.ts',
  'storage/methods/sync.ts',
  'storage/methods/users.ts',
])

/** Where the client's ports meet their adapters. */
const clientEntries = new Set(['client/index.ts', 'client/node.ts'])

export const folderOf = file => (file.includes('/') ? file.slice(0, file.indexOf('/')) : file.replace(/\.ts$/, ''))

/** Why `file` may not import `imported` (both relative to src), or `undefined` if it may. */
export function objection(file, imported) {
  const from = folderOf(file)
  const to = folderOf(imported)
  if (from === to) return undefined
  if (!(from in allowed)) return `src/${from} is not in the layout`
  if (allowed[from].includes(to)) return undefined
  if (from === 'client' && sharedWithClient.has(imported)) return undefined
  if (clientEntries.has(file) && to === 'adapters') return undefined
  if (to === 'adapters') return 'only operations, cli and the entries of the client may import adapters'
  return `imports point downwards: ${from} may import ${allowed[from].join(', ') || 'nothing'}`
}

/** The relative imports of a source text, static and dynamic, types included. */
export const importsOf = source =>
  [
    ...source.matchAll(
      /(?:^|\n)\s*(?:import|export)[^'"\n]*?(?:\n[^'"]*?)?from\s+['"](\.[^'"]+)['"]|import\(\s*['"](\.[^'"]+)['"]|(?:^|\n)import\s+['"](\.[^'"]+)['"]/g,
    ),
  ].map(match => match[1] ?? match[2] ?? match[3])

function check(src) {
  const files = readdirSync(src, { recursive: true }).filter(file => file.endsWith('.ts'))
  return files.flatMap(file =>
    importsOf(readFileSync(join(src, file), 'utf8')).flatMap(specifier => {
      const imported = relative(src, resolve(src, dirname(file), specifier))
      const why = objection(file, imported)
      return why ? [`src/${file} imports ${specifier}: ${why}`] : []
    }),
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const broken = check(join(dirname(fileURLToPath(import.meta.url)), '../src'))
  for (const line of broken) console.error(line)
  if (broken.length > 0) process.exit(1)
  console.log('Imports point downwards.')
}
