import { base64url } from 'multiformats/bases/base64'
import type { OperatorSecrets, ServerIdentity } from '../ports/identity.ts'
import type { Manifest } from './manifest.ts'

/** A server that would stand outside of its own operator: every other would refuse it. The message says what to do. */
export class NotAMember extends Error {
  override readonly name = 'NotAMember'
}

/**
 * Whether a server may serve for its operator, by the newest manifest known: it is named there, and holds the key to which
 * PNEs seal their registrations. A key that is not in the manifest yet may be held ready.
 * @throws {NotAMember}
 */
export function assertMember(
  manifest: Manifest,
  { operator, server }: Pick<ServerIdentity, 'operator' | 'server'>,
  { registrationKeys }: Pick<OperatorSecrets, 'registrationKeys'>,
): void {
  const which = `Manifest ${manifest.seq} of ${manifest.operator}`
  if (manifest.operator !== operator) {
    throw new NotAMember(`The manifest is of ${manifest.operator}, this server of ${operator}; use the operator's own.`)
  }
  if (manifest.revoked.includes(server)) {
    throw new NotAMember(`${which} revokes this server ${server}; make it anew, with a new key: cpns init --join`)
  }
  if (!manifest.servers.some(({ peerId }) => peerId === server)) {
    throw new NotAMember(
      `${which} does not name this server ${server}; where the root key is, run: cpns manifest sign --add server.json`,
    )
  }
  const held = new Map(registrationKeys.map(({ epoch, publicKey }) => [epoch, base64url.baseEncode(publicKey)]))
  const newest = Math.max(...manifest.registrationKeys.map(({ epoch }) => epoch))
  for (const { epoch, publicKey } of manifest.registrationKeys) {
    const own = held.get(epoch)
    if (own === publicKey || (own === undefined && epoch !== newest)) continue
    throw new NotAMember(
      `${which} has a registration key of epoch ${epoch} that is ${own === undefined ? 'missing from' : 'another one in'} the operator's secrets here; take them from a server that has it: cpns secret export, then cpns secret import`,
    )
  }
}
