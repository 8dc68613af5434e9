import { parse, TomlError } from 'smol-toml'
import { z } from 'zod'
import { isOperatorId, isServerId } from '../ports/names.ts'
import { defaultDevicePolicy, notify } from '../storage/devices/preferences.ts'
import { content } from '../storage/fields.ts'
import { defaultPace } from '../storage/notifications/pace.ts'
import { defaultPolicy } from '../storage/policy.ts'
import { nearestName } from './nearest-name.ts'

/*
 * What an operator may set, and where it may be set: a TOML file, then environment variables `CPNS_…`, then flags; the
 * later wins. Paths are relative to the folder of the file.
 */

/** A setting that is wrong; the message names it, where it was set, and the nearest known name if it is unknown. */
export class InvalidConfiguration extends Error {
  override readonly name = 'InvalidConfiguration'
}

const loopback = new Set(['localhost', '127.0.0.1', '[::1]'])

function isSafeKeySource(text: string): boolean {
  const url = URL.parse(text)
  if (url === null) return false
  if ([url.search, url.hash, url.username, url.password].some(part => part !== '')) return false
  return url.protocol === 'https:' || loopback.has(url.hostname)
}

/** What the environment says besides settings: secrets, which no file of settings should hold. */
const secretVariables = new Set(['CPNS_PASSPHRASE', 'CPNS_NEW_PASSPHRASE'])

const durationMs = z.int().min(0).max(31_536_000_000)
const devices = defaultDevicePolicy
const port = z.int().min(0).max(65535)

export const configurationSchema = z.strictObject({
  operator: z
    .string()
    .refine(isOperatorId, { error: 'expected a lower-case domain name such as a.example' })
    .describe('The operator that this server belongs to.'),
  data: z.string().default('data').describe('Folder of the document store.'),
  search: z
    .string()
    .default('search')
    .describe(
      'Folder of the search index. It is made anew from the document store if it is lost: leave it out of backups.',
    ),
  manifest: z.string().default('manifest.json').describe("The operator's signed manifest."),
  subscribers: z
    .string()
    .default('subscribers.json')
    .describe('Subscribers and their credentials, encrypted; mode 0600.'),
  peers: z
    .strictObject({
      listen: z.array(z.string()).default(['/ip4/127.0.0.1/tcp/4600']).describe('Multiaddresses for other servers.'),
      folder: z.string().default('peers').describe('Manifests of trusted operators, one file each.'),
      neighbours: z
        .array(z.string().refine(isServerId, { error: 'expected the PeerId of a server, such as 12D3Koo…' }))
        .optional()
        .describe("Servers of this server's own operator that it links with; all of them, if left out."),
    })
    .prefault({}),
  keys: z
    .strictObject({
      server: z.string().default('keys/server.key').describe("This server's private key; mode 0600."),
      secrets: z
        .string()
        .default('keys/operator.secrets')
        .describe('What all servers of the operator share; mode 0600.'),
      subscribers: z
        .string()
        .default('keys/subscribers.key')
        .describe('What the file of subscribers is encrypted under; mode 0600.'),
    })
    .prefault({}),
  keySource: z
    .strictObject({
      url: z
        .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
        .refine(isSafeKeySource, { error: 'expected https, or http on loopback; without user, query and fragment' })
        .describe('The base URL of a key server of your own: GET <url>/subscribers/<identity>.'),
      tokenFile: z.string().optional().describe('A bearer token for it; mode 0600, read again at each request.'),
      certificate: z.string().optional().describe('PEM certificate by which it knows this server.'),
      key: z.string().optional().describe('PEM private key of the certificate; mode 0600.'),
      authority: z.string().optional().describe('PEM certificates of who signed its certificate; else the usual ones.'),
      timeoutMs: z.int().min(100).max(60_000).default(3_000).describe('For one whole answer.'),
      ttlMs: z.int().min(0).max(86_400_000).default(60_000).describe('How long a subscriber is not asked for again.'),
      negativeTtlMs: z.int().min(0).max(3_600_000).default(5_000).describe('The same for who is no subscriber.'),
      staleMs: z
        .int()
        .min(0)
        .max(86_400_000)
        .default(600_000)
        .describe('How old an answer may be that is used while the key server fails.'),
    })
    .refine(source => (source.certificate === undefined) === (source.key === undefined), {
      error: 'certificate and key go together',
    })
    .refine(source => source.tokenFile !== undefined || source.certificate !== undefined, {
      error: 'tokenFile, or certificate and key, are needed: a key server tells secrets',
    })
    .optional()
    .describe('Subscribers from a key server instead of a file.'),
  certificates: z
    .strictObject({
      anchors: z
        .array(z.string())
        .default([])
        .describe('Files (PEM or DER) of the authorities whose certificates PNEs may register with.'),
      revocations: z
        .array(z.string())
        .default([])
        .describe('Files of their revocation lists; reloaded when they change.'),
    })
    .prefault({}),
  clients: z
    .strictObject({
      host: z
        .string()
        .default('127.0.0.1')
        .describe('Where clients attach. Plain websockets are refused beyond loopback.'),
      port: port.default(4680),
      certificate: z.string().optional().describe('PEM certificate chain; reloaded when it changes.'),
      key: z.string().optional().describe('PEM private key of the certificate.'),
      behindProxy: z.boolean().default(false).describe('A proxy in front terminates TLS: plain is then accepted.'),
      origins: z.array(z.string()).default([]).describe('Web origins that browsers may come from.'),
    })
    .refine(clients => (clients.certificate === undefined) === (clients.key === undefined), {
      error: 'certificate and key go together',
    })
    .prefault({}),
  media: z
    .strictObject({
      folder: z.string().default('media').describe("Folder of the media of users' messages."),
      maxBytes: z
        .int()
        .min(1)
        .max(Number.MAX_SAFE_INTEGER)
        .default(defaultPolicy.maxMediaBytes)
        .describe('How large one media may be.'),
      types: z
        .array(
          z.string().regex(/^(\*|[a-z0-9.+-]+\/(\*|[a-z0-9.+-]+))$/, { error: 'expected image/png, image/* or *' }),
        )
        .default([...defaultPolicy.mediaTypes])
        .describe('Types that media may have, such as image/png or image/*; * for all.'),
    })
    .prefault({}),
  trust: z
    .record(
      z.string().refine(isOperatorId, { error: 'expected an operator such as b.example' }),
      z.string().regex(/^[A-Za-z0-9_-]{43}$/, { error: 'expected the 43 characters of a root fingerprint' }),
    )
    .default({})
    .describe('Operators that this server federates with, each pinned to the fingerprint of its root keys.'),
  storage: z
    .strictObject({
      devices: z
        .strictObject({
          maxPerUser: z
            .int()
            .min(1)
            .max(1_000)
            .default(devices.maxPerUser)
            .describe('Devices that a user may register.'),
          minPeriodMs: durationMs.default(devices.minPeriodMs).describe('How often a device may synchronise by timer.'),
          maxPeriodMs: durationMs.default(devices.maxPeriodMs).describe('How seldom it may do so.'),
          minQuietMs: durationMs
            .default(devices.minQuietMs)
            .describe('How long a device is left alone after each notification, whatever it wants.'),
          maxMediaBytes: z
            .int()
            .min(0)
            .default(devices.maxMediaBytes)
            .describe('The largest media that devices fetch by themselves.'),
          content: z
            .array(content)
            .min(1)
            .default([...devices.content])
            .describe('What devices may synchronise: full, list, links.'),
          notify: z
            .array(notify)
            .min(1)
            .default([...devices.notify])
            .describe('How devices may be told of changes: none, websocket, push.'),
        })
        .prefault({}),
      notifications: z
        .strictObject({
          coalesceMs: durationMs
            .min(100)
            .default(defaultPace.coalesceMs)
            .describe(
              'A device that was told and has not synchronised yet is told again so much later at the earliest.',
            ),
          maxCoalesceMs: durationMs
            .min(100)
            .default(defaultPace.maxCoalesceMs)
            .describe('That time doubles while the device does not come, up to this.'),
        })
        .prefault({}),
      push: z
        .strictObject({
          enabled: z.boolean().default(true).describe('Whether devices that are not attached are told by Web Push.'),
          contact: z
            .string()
            .regex(/^(mailto:.+@.+|https:\/\/.+)$/, { error: 'expected a mailto: or https: URL' })
            .optional()
            .describe('Whom push services may write to; mailto:postmaster@ the operator, if left out.'),
          hosts: z
            .array(
              z
                .string()
                .regex(/^(\*\.)?[a-z0-9.-]+$/, { error: 'expected a host such as push.example or *.push.example' }),
            )
            .optional()
            .describe('The push services that may be used; all in the public network, if left out.'),
          authority: z
            .string()
            .optional()
            .describe('PEM certificates of who signed those of push services; the usual ones, if left out.'),
          loopback: z
            .boolean()
            .default(false)
            .describe('Push services on this machine may be used, without TLS too: for trials alone.'),
        })
        .prefault({}),
    })
    .prefault({})
    .describe('Message storage.'),
  load: z
    .strictObject({
      controlled: z
        .boolean()
        .default(true)
        .describe('Whether an overloaded server turns new clients away, or sends them to another one.'),
    })
    .prefault({}),
  log: z.strictObject({ level: z.enum(['debug', 'info', 'warn', 'error']).default('info') }).prefault({}),
})

export type Configuration = z.infer<typeof configurationSchema>

/** One place that settings come from, with what to call it in an error. */
interface Source {
  readonly name: string
  readonly values: Readonly<Record<string, unknown>>
}

/**
 * Reads a configuration.
 *
 * @param toml text of the file, and its name for errors
 * @param environment variables; only `CPNS_…` count: `CPNS_CLIENTS_PORT` sets `clients.port`
 * @param flags dotted settings from the command line, such as `{ 'clients.port': '4681' }`
 * @throws {InvalidConfiguration}
 */
export function readConfiguration(
  toml: { readonly text: string; readonly name: string },
  environment: Readonly<Record<string, string | undefined>> = {},
  flags: Readonly<Record<string, string>> = {},
): Configuration {
  const sources: Source[] = [
    { name: toml.name, values: parsedToml(toml) },
    { name: 'environment', values: tree(environmentSettings(environment)) },
    { name: 'flags', values: tree(flags) },
  ]
  for (const source of sources) refuseUnknown(source)
  const merged = sources.reduce<Record<string, unknown>>((into, source) => merge(into, source.values), {})
  const result = configurationSchema.safeParse(merged)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const path = issue?.path.join('.') ?? ''
  const source = [...sources].reverse().find(candidate => valueAt(candidate.values, issue?.path ?? []) !== undefined)
  throw new InvalidConfiguration(`${source?.name ?? toml.name}: ${path}: ${issue?.message}.`)
}

/** @throws {InvalidConfiguration} says where it is no TOML */
export function parsedToml({ text, name }: { readonly text: string; readonly name: string }): Record<string, unknown> {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    throw new InvalidConfiguration(`${name}:${error.line}:${error.column}: not TOML: ${error.message.split('\n')[0]}`)
  }
}

/** The dotted settings that have a default or may be given one, with their schema. `trust` takes any operator. */
const known = settingsOf(configurationSchema)

function settingsOf(schema: z.ZodType, prefix = ''): Map<string, z.ZodType> {
  const inner = unwrapped(schema)
  if (!(inner instanceof z.ZodObject)) return new Map([[prefix, schema]])
  const entries = Object.entries(inner.shape as Record<string, z.ZodType>)
  return new Map(entries.flatMap(([key, value]) => [...settingsOf(value, prefix === '' ? key : `${prefix}.${key}`)]))
}

/** What stands behind a default, or behind that it may be left out. */
export function unwrapped(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return unwrapped(schema.unwrap() as z.ZodType)
  }
  return schema
}

function environmentSettings(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const byVariable = new Map([...known.keys()].map(path => [variableOf(path), path]))
  const settings: Record<string, string> = {}
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith('CPNS_') || value === undefined || secretVariables.has(variable)) continue
    const path = byVariable.get(variable)
    if (path === undefined) throw unknown('environment', variable, [...byVariable.keys()])
    settings[path] = value
  }
  return settings
}

const variableOf = (path: string) => `CPNS_${path.replace(/[A-Z]/g, '_$&').replaceAll('.', '_').toUpperCase()}`

/** Dotted text settings as a tree, each value read as its schema wants it: numbers, booleans, comma-separated lists. */
function tree(settings: Readonly<Record<string, string>>): Record<string, unknown> {
  let result: Record<string, unknown> = {}
  for (const [path, text] of Object.entries(settings)) {
    const nested = path
      .split('.')
      .reduceRight<unknown>((value, key) => ({ [key]: value }), readAs(known.get(path), text))
    result = merge(result, nested as Record<string, unknown>)
  }
  return result
}

function readAs(schema: z.ZodType | undefined, text: string): unknown {
  const inner = schema && unwrapped(schema)
  if (inner instanceof z.ZodNumber && /^-?\d+$/.test(text)) return Number(text)
  if (inner instanceof z.ZodBoolean && /^(true|false)$/.test(text)) return text === 'true'
  if (inner instanceof z.ZodArray) return text === '' ? [] : text.split(',')
  return text
}

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function merge(base: Readonly<Record<string, unknown>>, over: Readonly<Record<string, unknown>>) {
  const result: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const below = result[key]
    result[key] = isTable(value) && isTable(below) ? merge(below, value) : value
  }
  return result
}

function valueAt(values: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (isTable(value) ? value[String(key)] : undefined), values)
}

function refuseUnknown(source: Source): void {
  const paths = [...known.keys()]
  const visit = (values: Readonly<Record<string, unknown>>, prefix: string): void => {
    for (const [key, value] of Object.entries(values)) {
      const path = prefix === '' ? key : `${prefix}.${key}`
      if (path === 'trust' || known.has(path)) continue
      if (isTable(value) && paths.some(candidate => candidate.startsWith(`${path}.`))) visit(value, path)
      else throw unknown(source.name, path, paths)
    }
  }
  visit(source.values, '')
}

function unknown(source: string, name: string, candidates: readonly string[]): InvalidConfiguration {
  const nearest = nearestName(name, candidates)
  return new InvalidConfiguration(`${source}: there is no setting "${name}"; did you mean "${nearest}"?`)
}
