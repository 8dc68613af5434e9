import { base64url } from 'multiformats/bases/base64'
import { createManifest, formatManifest, rootFingerprint } from '../../federation/manifest.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { OperatorSecrets, ServerIdentity } from '../../ports/identity.ts'
import { signedBytes } from '../../ports/identity.ts'
import { type OperatorId, type ServerId, serverOfPublicKey } from '../../ports/names.ts'
import { SimulatedKeySource } from '../key-source.ts'
import { rng } from '../random-streams.ts'
import type { World } from '../world.ts'

/*
 * Operators as `cpns init` makes them, but out of the seed: root key, manifest, shared secrets, subscribers. The same
 * world and name give the same operator, byte for byte.
 */

/** Longer than any simulation: expiry is a matter of its own. */
const manifestLifetimeMs = 365 * 24 * 60 * 60 * 1000
const keyBytes = 32
/** Where a simulated host listens for peers and for clients. */
const peerPort = 4600
const clientPort = 8080

/** A server as its operator's manifest names it. */
export interface ServerCard {
  readonly host: string
  readonly address: string
  readonly identity: ServerIdentity
}

/** An operator, its secrets included. */
export interface SimulatedOperator {
  readonly id: OperatorId
  readonly fingerprint: string
  readonly manifest: string
  readonly secrets: OperatorSecrets
  readonly subscribers: SimulatedKeySource
  readonly servers: readonly ServerCard[]
  /** The pre-shared key of a subscriber; one that is new is added. */
  keyOf(identity: string): Uint8Array
  /** Everything that must never be found in a document or a log. */
  secretBytes(): Iterable<Uint8Array>
}

/** @param hosts where its servers stand, one for each */
export async function simulatedOperator(
  world: World,
  id: OperatorId,
  hosts: readonly { readonly name: string; readonly address: string }[],
): Promise<SimulatedOperator> {
  const random = (purpose: string) => rng(world.seed, 'operator', id, purpose)
  const crypto = world.cryptography.ofServer(random('signatures'))
  const rootKey = random('root').bytes(keyBytes)
  const servers = hosts.map(({ name, address }) => {
    const privateKey = random(`server ${name}`).bytes(keyBytes)
    return { host: name, address, identity: identityOf(id, privateKey, crypto), privateKey }
  })
  const secrets = await secretsOf(world, id)
  const manifest = createManifest(
    id,
    {
      expires: world.epochMs + manifestLifetimeMs,
      threshold: 1,
      servers: servers.map(({ identity, address }) => entryOf(identity.server, address)),
      registrationKeys: secrets.registrationKeys.map(({ epoch, publicKey }) => ({
        epoch,
        publicKey: base64url.baseEncode(publicKey),
      })),
    },
    [rootKey],
    crypto,
    // Clocks of servers that are behind must not find it issued in the future.
    world.epochMs - manifestLifetimeMs / 12,
  )
  const subscribers = new SimulatedKeySource()
  const keys = new Map<string, Uint8Array>()
  return {
    id,
    fingerprint: rootFingerprint(manifest.manifest, crypto),
    manifest: formatManifest(manifest),
    secrets,
    subscribers,
    servers,
    keyOf(identity) {
      const known = keys.get(identity)
      if (known) return known
      const key = random(`subscriber ${identity}`).bytes(keyBytes)
      keys.set(identity, key)
      subscribers.add({ identity, credential: { kind: 'psk', key } })
      return key
    },
    *secretBytes() {
      yield rootKey
      for (const { privateKey } of servers) yield privateKey
      for (const { privateKey } of secrets.registrationKeys) yield privateKey
      for (const { key } of secrets.macKeys) yield key
      yield secrets.cpnsIdKey
      yield* keys.values()
    },
  }
}

const entryOf = (peerId: ServerId, address: string) => ({
  peerId,
  addresses: [`/ip4/${address}/tcp/${peerPort}`],
  clientUrls: [`ws://${address}:${clientPort}`],
})

/** The URL at which clients reach a server. */
export const clientUrlOf = ({ address }: ServerCard): string => `ws://${address}:${clientPort}`

/** Signs through the world's cryptography, which need not verify what was signed here. */
function identityOf(operator: OperatorId, privateKey: Uint8Array, { ed25519 }: Crypto): ServerIdentity {
  return {
    operator,
    server: serverOfPublicKey(ed25519.publicKey(privateKey)),
    sign: (purpose, digest) => ed25519.sign(privateKey, signedBytes(purpose, digest)),
  }
}

async function secretsOf({ seed, production }: World, operator: OperatorId): Promise<OperatorSecrets> {
  const random = rng(seed, 'operator', operator, 'secrets')
  const exchange = await production.hpke(() => random.bytes(keyBytes)).generateKeyPair()
  return {
    registrationKeys: [{ epoch: 1, ...exchange }],
    macKeys: [{ version: 1, key: random.bytes(keyBytes) }],
    cpnsIdKey: random.bytes(keyBytes),
  }
}
