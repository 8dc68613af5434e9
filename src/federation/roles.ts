import type { ServerId } from '../ports/names.ts'
import type { Manifest } from './manifest.ts'

/** What a manifest says of a server. `retired`: what it signed still holds; it may not connect. */
export type Role = 'current' | 'retired' | 'revoked'

export interface Roles {
  readonly roles: ReadonlyMap<ServerId, Role>
  /** The current ones, in the manifest's order. */
  readonly servers: readonly ServerId[]
}

/** Asked for every entry of a peer, so read from each manifest once. */
const read = new WeakMap<Manifest, Roles>()

export function rolesIn(manifest: Manifest): Roles {
  const known = read.get(manifest) ?? rolesOf(manifest)
  read.set(manifest, known)
  return known
}

/** A server that stands in several lists is what the first of current, revoked, retired says. */
const rolesOf = ({ servers, revoked, retired }: Manifest): Roles => ({
  roles: new Map<ServerId, Role>([
    ...retired.map(server => [server, 'retired'] as const),
    ...revoked.map(server => [server, 'revoked'] as const),
    ...servers.map(({ peerId }) => [peerId, 'current'] as const),
  ]),
  servers: servers.map(({ peerId }) => peerId),
})
