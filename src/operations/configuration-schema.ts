import { z } from 'zod'
import { defaultLimits as accessDefaults } from '../access/limits.ts'
import { defaultScrubLimits } from '../document/scrubber.ts'
import { minEntriesPerSecond } from '../federation/quotas.ts'
import { isOperatorId, isServerId } from '../ports/names.ts'
import { defaultDevicePolicy, notify } from '../storage/devices/preferences.ts'
import { content } from '../storage/fields.ts'
import { defaultPace } from '../storage/notifications/pace.ts'
import { defaultPolicy } from '../storage/policy.ts'

/*
 * What an operator may set, with what each setting means, its bounds, and what holds when it is left out. Paths are relative
 * to the folder of the file.
 */

/** What a running node takes over when it reads its configuration again (`cpns reload`, SIGHUP); all else takes a start. */
const live = { reloadable: true } as const

const loopback = new Set(['localhost', '127.0.0.1', '[::1]'])

function hasNoCredentials(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && [url.search, url.hash, url.username, url.password].every(part => part === '')
}

function isSafeKeySource(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || !hasNoCredentials(text)) return false
  return url.protocol === 'https:' || loopback.has(url.hostname)
}

const quota = z.strictObject({
  documents: z.int().min(0).optional().describe('Documents that an operator owns and that are held here.').meta(live),
  bytes: z.int().min(0).optional().describe('What those take in the store.').meta(live),
  entriesPerSecond: z
    .int()
    .min(minEntriesPerSecond)
    .optional()
    .describe('Entries that its servers may send, together; whoever sends more waits.')
    .meta(live),
  handshakesPerMinute: z
    .int()
    .min(1)
    .optional()
    .describe('Connections that its servers may begin, together.')
    .meta(live),
})
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
      quota: quota.prefault({}).describe('What each other operator may have of this server.'),
      quotas: z
        .record(z.string().refine(isOperatorId, { error: 'expected an operator such as b.example' }), quota)
        .default({})
        .describe('The same for single operators, instead of that.')
        .meta(live),
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
      origins: z.array(z.string()).default([]).describe('Web origins that browsers may come from.').meta(live),
      framesOfSession: z
        .int()
        .min(10)
        .max(100_000)
        .default(accessDefaults.framesPerSecond)
        .describe('Messages a second that a session may send in the long run.'),
      framesOfOne: z
        .int()
        .min(10)
        .max(1_000_000)
        .default(accessDefaults.framesPerSecondOfOne)
        .describe(
          'The same for all sessions of one subscriber; a function that deposits for many users may need more.',
        ),
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
        .describe('How large one media may be.')
        .meta(live),
      types: z
        .array(
          z.string().regex(/^(\*|[a-z0-9.+-]+\/(\*|[a-z0-9.+-]+))$/, { error: 'expected image/png, image/* or *' }),
        )
        .default([...defaultPolicy.mediaTypes])
        .describe('Types that media may have, such as image/png or image/*; * for all.')
        .meta(live),
    })
    .prefault({}),
  trust: z
    .record(
      z.string().refine(isOperatorId, { error: 'expected an operator such as b.example' }),
      z.string().regex(/^[A-Za-z0-9_-]{43}$/, { error: 'expected the 43 characters of a root fingerprint' }),
    )
    .default({})
    .describe('Operators that this server federates with, each pinned to the fingerprint of its root keys.')
    .meta(live),
  storage: z
    .strictObject({
      devices: z
        .strictObject({
          maxPerUser: z
            .int()
            .min(1)
            .max(1_000)
            .default(devices.maxPerUser)
            .describe('Devices that a user may register.')
            .meta(live),
          minPeriodMs: durationMs
            .default(devices.minPeriodMs)
            .describe('How often a device may synchronise by timer.')
            .meta(live),
          maxPeriodMs: durationMs.default(devices.maxPeriodMs).describe('How seldom it may do so.').meta(live),
          minQuietMs: durationMs
            .default(devices.minQuietMs)
            .describe('How long a device is left alone after each notification, whatever it wants.')
            .meta(live),
          maxMediaBytes: z
            .int()
            .min(0)
            .default(devices.maxMediaBytes)
            .describe('The largest media that devices fetch by themselves.')
            .meta(live),
          content: z
            .array(content)
            .min(1)
            .default([...devices.content])
            .describe('What devices may synchronise: full, list, links.')
            .meta(live),
          notify: z
            .array(notify)
            .min(1)
            .default([...devices.notify])
            .describe('How devices may be told of changes: none, websocket, push.')
            .meta(live),
        })
        .prefault({}),
      notifications: z
        .strictObject({
          coalesceMs: durationMs
            .min(100)
            .default(defaultPace.coalesceMs)
            .describe(
              'A device that was told and has not synchronised yet is told again so much later at the earliest.',
            )
            .meta(live),
          maxCoalesceMs: durationMs
            .min(100)
            .default(defaultPace.maxCoalesceMs)
            .describe('That time doubles while the device does not come, up to this.')
            .meta(live),
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
  scrub: z
    .strictObject({
      bytesPerSecond: z
        .int()
        .min(0)
        .default(defaultScrubLimits.bytesPerSecond)
        .describe(
          'How fast everything stored is read through in the background, to find what the disk has changed. 0: never.',
        )
        .meta(live),
      restMs: durationMs
        .default(defaultScrubLimits.restMs)
        .describe('How long it waits after the start, and after each time that everything was read.')
        .meta(live),
    })
    .prefault({}),
  admin: z
    .strictObject({
      listen: z
        .string()
        .regex(/^(\[[0-9a-f:.]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, {
          error: 'expected an address and a port such as 127.0.0.1:4690',
        })
        .refine(listen => URL.canParse(`http://${listen}`), { error: 'expected a port up to 65535' })
        .optional()
        .describe(
          'Where the admin API listens for requests with a token (cpns token create), besides the socket in the data folder. Plain HTTP: keep it on loopback, or behind a proxy that terminates TLS.',
        ),
    })
    .prefault({}),
  telemetry: z
    .strictObject({
      otlp: z
        .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
        .refine(hasNoCredentials, { error: 'expected no user, query and fragment' })
        .optional()
        .describe(
          'Base URL of a collector of OpenTelemetry, such as http://127.0.0.1:4318: spans go to v1/traces below it, as OTLP over HTTP in JSON. Left out: none are made.',
        ),
      ratio: z.number().min(0).max(1).default(1).describe('The share of traces that is exported.'),
    })
    .prefault({}),
  log: z.strictObject({ level: z.enum(['debug', 'info', 'warn', 'error']).default('info').meta(live) }).prefault({}),
})

export type Configuration = z.infer<typeof configurationSchema>
