import canonicalize from 'canonicalize'
import { base64url } from 'multiformats/bases/base64'
import { z } from 'zod'
import type { Crypto } from '../ports/crypto.ts'
import { signedBytes } from '../ports/identity.ts'
import { InvalidName, isOperatorId, type OperatorId, type ServerId, serverId } from '../ports/names.ts'

/*
 * What an operator says about itself: its root keys, its servers, how to reach them. Signed by its root keys, which stay
 * offline, and numbered; the next one must satisfy the root keys of the one before as well as its own, so that whoever
 * pinned the first can follow without asking anybody. It proves itself and may be passed on by anyone.
 */

/** The longest a signed manifest may be, in its file and on the wire: room for some 500 servers. */
export const maxManifestBytes = 128 * 1024

export type ManifestRefusal =
  /** Not a signed manifest at all. */
  | 'malformed'
  /** Too few valid signatures of its own root keys. */
  | 'signature'
  /** The configuration pins no root for this operator. */
  | 'unpinned'
  /** Its root keys are not the pinned ones, nor do known manifests lead from those to these. */
  | 'root'
  /** A later one is known. */
  | 'rollback'
  /** Another one with the same number is known: the operator, or a thief of its keys, contradicts itself. */
  | 'equivocation'
  /** It does not follow from the known one: wrong `prev`, too few signatures of its keys, or a server that vanished. */
  | 'succession'

/** A manifest that cannot be accepted. The message says what was wrong and what to do. */
export class InvalidManifest extends Error {
  override readonly name = 'InvalidManifest'
  readonly reason: ManifestRefusal
  constructor(reason: ManifestRefusal, message: string) {
    super(message)
    this.reason = reason
  }
}

const bytesOf = (lengthBytes: number, what: string) =>
  z.string().refine(text => decoded(text)?.length === lengthBytes, {
    error: `expected ${what}: ${lengthBytes} bytes in base64url without padding`,
  })

const server = z.custom<ServerId>(value => typeof value === 'string' && isServer(value), {
  error: 'expected a server: the PeerId of an Ed25519 key (12D3Koo…)',
})
const time = z.int().min(0).max(8.64e15)
const key = bytesOf(32, 'a public key')
interface Roles {
  readonly servers: readonly { readonly peerId: ServerId }[]
  readonly retired: readonly ServerId[]
  readonly revoked: readonly ServerId[]
}

const unique = (items: readonly string[]) => new Set(items).size === items.length

const manifestSchema = z
  .strictObject({
    operator: z.custom<OperatorId>(value => typeof value === 'string' && isOperatorId(value), {
      error: 'expected an operator: a lower-case domain name such as a.example',
    }),
    /** 1 for the first, rising; numbers may be left out. */
    seq: z.int().min(1),
    /** Hash of the manifest numbered `seq - 1`; `null` for the first. */
    prev: bytesOf(32, 'a hash').nullable(),
    /** Milliseconds since 1970. */
    issued: time,
    expires: time,
    /** Ed25519 public keys; `threshold` of them must sign. */
    rootKeys: z.array(key).min(1).max(16).refine(unique, { error: 'a root key stands twice' }),
    threshold: z.int().min(1),
    servers: z
      .array(
        z.strictObject({
          peerId: server,
          /** Multiaddresses without `/p2p/…`. */
          addresses: z
            .array(
              z
                .string()
                .max(256)
                .regex(/^\/[!-~]+$/, { error: 'expected a multiaddress' }),
            )
            .max(16),
          clientUrls: z.array(z.url({ protocol: /^wss?$/ }).max(256)).max(16),
        }),
      )
      .max(512),
    /** Servers of the past: what they signed still holds; they may not connect. */
    retired: z.array(server).max(1024),
    /** Servers that lost their keys: nothing they signed is taken from now on. */
    revoked: z.array(server).max(1024),
    /** X25519 public keys to which PNEs seal registrations. */
    registrationKeys: z.array(z.strictObject({ epoch: z.int().min(1), publicKey: key })).max(16),
  })
  .refine(it => it.expires > it.issued, { error: 'it expires before it was issued', path: ['expires'] })
  .refine(it => it.threshold <= it.rootKeys.length, { error: 'more than there are root keys', path: ['threshold'] })
  .refine(it => (it.seq === 1) === (it.prev === null), {
    error: 'null for the first one, and only there',
    path: ['prev'],
  })
  .refine(it => unique(everyServer(it)), { error: 'a server stands twice, or in two of servers, retired, revoked' })
  .refine(it => unique(it.registrationKeys.map(({ epoch }) => `${epoch}`)), {
    error: 'an epoch stands twice',
    path: ['registrationKeys'],
  })

const signedSchema = z.strictObject({
  manifest: manifestSchema,
  signatures: z
    .array(z.strictObject({ key, signature: bytesOf(64, 'a signature') }))
    .max(32)
    .refine(signatures => unique(signatures.map(({ key }) => key)), { error: 'a key signed twice' }),
})

export type Manifest = Readonly<z.infer<typeof manifestSchema>>
export type ManifestServer = Manifest['servers'][number]
export type RegistrationKey = Manifest['registrationKeys'][number]

/** A manifest with signatures, well-formed; whether they suffice is what {@link verifyManifest} says. */
export interface SignedManifest {
  readonly manifest: Manifest
  readonly signatures: readonly { readonly key: string; readonly signature: string }[]
}

/** What an operator decides about its manifest; the rest follows. */
export interface ManifestContent {
  readonly expires: number
  readonly threshold: number
  /** Defaults to the public keys of the private ones it is signed with. */
  readonly rootKeys?: readonly Uint8Array[]
  readonly servers: readonly ManifestServer[]
  readonly revoked?: readonly ServerId[]
  readonly registrationKeys: readonly RegistrationKey[]
}

/** The operator's first manifest. @throws {InvalidManifest} */
export function createManifest(
  operator: OperatorId,
  content: ManifestContent,
  rootPrivateKeys: readonly Uint8Array[],
  crypto: Crypto,
  now: number,
): SignedManifest {
  const rootKeys = content.rootKeys ?? rootPrivateKeys.map(key => crypto.ed25519.publicKey(key))
  return signed(
    {
      operator,
      seq: 1,
      prev: null,
      issued: now,
      expires: content.expires,
      rootKeys: rootKeys.map(base64url.baseEncode),
      threshold: content.threshold,
      servers: [...content.servers],
      retired: [],
      revoked: [...(content.revoked ?? [])],
      registrationKeys: [...content.registrationKeys],
    },
    rootPrivateKeys,
    crypto,
  )
}

/**
 * The manifest after `previous`. Servers that are left out become retired unless they are revoked. When the root keys
 * change it has to be signed with enough of the old and of the new ones.
 * @throws {InvalidManifest}
 */
export function nextManifest(
  previous: SignedManifest,
  changes: Partial<ManifestContent>,
  rootPrivateKeys: readonly Uint8Array[],
  crypto: Crypto,
  now: number,
): SignedManifest {
  const before = previous.manifest
  const servers = [...(changes.servers ?? before.servers)]
  const revoked = [...new Set([...before.revoked, ...(changes.revoked ?? [])])]
  const present = new Set([...servers.map(({ peerId }) => peerId), ...revoked])
  return signed(
    {
      operator: before.operator,
      seq: before.seq + 1,
      prev: base64url.baseEncode(manifestHash(before, crypto)),
      issued: now,
      expires: changes.expires ?? now + (before.expires - before.issued),
      rootKeys: changes.rootKeys?.map(base64url.baseEncode) ?? [...before.rootKeys],
      threshold: changes.threshold ?? before.threshold,
      servers: servers.filter(({ peerId }) => !revoked.includes(peerId)),
      retired: [...new Set(everyServer(before))].filter(server => !present.has(server)),
      revoked,
      registrationKeys: [...(changes.registrationKeys ?? before.registrationKeys)],
    },
    rootPrivateKeys,
    crypto,
  )
}

/** Adds signatures: for root keys that are kept in different places. */
export function cosign(
  { manifest, signatures }: SignedManifest,
  rootPrivateKeys: readonly Uint8Array[],
  crypto: Crypto,
): SignedManifest {
  const message = signedBytes('cpns-manifest-v1', manifestHash(manifest, crypto))
  const added = rootPrivateKeys.map(privateKey => ({
    key: base64url.baseEncode(crypto.ed25519.publicKey(privateKey)),
    signature: base64url.baseEncode(crypto.ed25519.sign(privateKey, message)),
  }))
  const kept = signatures.filter(({ key }) => !added.some(other => other.key === key))
  return { manifest, signatures: [...kept, ...added] }
}

const signed = (manifest: Manifest, rootPrivateKeys: readonly Uint8Array[], crypto: Crypto): SignedManifest =>
  cosign({ manifest: wellFormed(manifestSchema, manifest), signatures: [] }, rootPrivateKeys, crypto)

/** SHA-256 of the canonical bytes (RFC 8785): what is signed, what `prev` names, what tells two manifests apart. */
export const manifestHash = (manifest: Manifest, crypto: Crypto): Uint8Array => crypto.sha256(canonicalBytes(manifest))

/** The name under which an operator's root is pinned: SHA-256 over its root keys and threshold, base64url. */
export function rootFingerprint({ rootKeys, threshold }: Pick<Manifest, 'rootKeys' | 'threshold'>, crypto: Crypto) {
  return base64url.baseEncode(crypto.sha256(canonicalBytes({ rootKeys: [...rootKeys].sort(), threshold })))
}

/** Whether enough of the manifest's own root keys signed it. @throws {InvalidManifest} */
export function verifyManifest(signed: SignedManifest, crypto: Crypto): void {
  const { manifest } = signed
  const valid = validSignatures(signed, manifest, crypto)
  if (valid >= manifest.threshold) return
  throw new InvalidManifest(
    'signature',
    `Manifest ${manifest.seq} of ${manifest.operator} has ${valid} of the ${manifest.threshold} signatures it needs; sign it with more of its root keys.`,
  )
}

/** How many of `rootKeys` signed the manifest. */
export function validSignatures(
  { manifest, signatures }: SignedManifest,
  { rootKeys }: Pick<Manifest, 'rootKeys'>,
  crypto: Crypto,
): number {
  const message = signedBytes('cpns-manifest-v1', manifestHash(manifest, crypto))
  return signatures.filter(
    ({ key, signature }) =>
      rootKeys.includes(key) &&
      crypto.ed25519.verify(base64url.baseDecode(key), message, base64url.baseDecode(signature)),
  ).length
}

/** Reads a signed manifest, from its file or from the wire. Signatures are not checked. @throws {InvalidManifest} */
export function parseManifest(from: string | Uint8Array): SignedManifest {
  const text = typeof from === 'string' ? from : new TextDecoder().decode(from)
  if (text.length > maxManifestBytes) {
    throw new InvalidManifest('malformed', `A signed manifest has at most ${maxManifestBytes} bytes.`)
  }
  return wellFormed(signedSchema, json(text))
}

/** As it stands in its file: JSON for people to read. */
export const formatManifest = (signed: SignedManifest): string => `${JSON.stringify(signed, null, 2)}\n`

/** As it goes over the wire and into the store. */
export const encodeManifest = (signed: SignedManifest): Uint8Array => canonicalBytes(signed)

/** Servers that a manifest speaks of, in whatever role. */
export const everyServer = ({ servers, retired, revoked }: Roles): ServerId[] => [
  ...servers.map(({ peerId }) => peerId),
  ...retired,
  ...revoked,
]

function canonicalBytes(value: unknown): Uint8Array {
  const text = canonicalize(value)
  if (text === undefined) throw new TypeError('Nothing to write.')
  return new TextEncoder().encode(text)
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new InvalidManifest('malformed', `Not a signed manifest: not JSON (${(error as Error).message}).`)
  }
}

function wellFormed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw new InvalidManifest(
    'malformed',
    `Not a signed manifest: ${issue?.path.join('.') || 'content'}: ${issue?.message}.`,
  )
}

function isServer(text: string): boolean {
  try {
    return serverId(text) === text
  } catch (error) {
    if (error instanceof InvalidName) return false
    throw error
  }
}

/** The bytes, if `text` is the one way to write them. */
function decoded(text: string): Uint8Array | undefined {
  try {
    const bytes = base64url.baseDecode(text)
    return base64url.baseEncode(bytes) === text ? bytes : undefined
  } catch {
    return undefined
  }
}
