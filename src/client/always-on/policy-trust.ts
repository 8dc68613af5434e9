import {
  comparePolicies,
  policyBytes,
  type ServedPolicy,
  type SignedPolicy,
  servedPolicy,
} from '../../access/policy/served-policy.ts'
import { fromBase64url } from '../../commands/framing.ts'
import type { ClientCrypto } from '../../ports/crypto.ts'
import { signedBytes } from '../../ports/identity.ts'
import { type OperatorId, publicKeyOf, type ServerId, serverId } from '../../ports/names.ts'

/*
 * Which policies a client believes: those that a server signed which it was provisioned with, or that a policy names which it
 * believes already, and none that is older than what it has. So the list of servers can change as a whole, step by step, and
 * nobody who is not one of them, or not any more, has a say in it.
 */

export type PolicyRefusal =
  /** No policy at all. */
  | 'malformed'
  /** Of another operator. */
  | 'operator'
  /** Signed by a server that is none of the operator's, as far as the client knows. */
  | 'signer'
  | 'signature'
  /** The client has had a later one. */
  | 'rollback'

/** A policy that a client does not believe. It keeps the one that it has. */
export class PolicyRefused extends Error {
  override readonly name = 'PolicyRefused'
  readonly reason: PolicyRefusal
  constructor(reason: PolicyRefusal, message: string) {
    super(message)
    this.reason = reason
  }
}

/** A policy that is believed, with what proves it. */
export interface KnownPolicy {
  readonly policy: ServedPolicy
  /** The last one is the policy; those before it lead to its signer from the servers that the client was provisioned with. */
  readonly chain: readonly SignedPolicy[]
}

export interface PolicyAnchor {
  readonly operator: OperatorId
  /** The servers that the client was provisioned with. */
  readonly servers: readonly ServerId[]
}

/** Longer chains begin anew: the client is to be provisioned again. Each step is a change of all servers that it knew. */
export const longestChain = 16

/** What a signed policy says, if one of `servers` has signed it. @throws {PolicyRefused} */
export async function openPolicy(
  signed: SignedPolicy,
  { operator, servers }: PolicyAnchor,
  crypto: Pick<ClientCrypto, 'sha256' | 'ed25519Verify'>,
): Promise<ServedPolicy> {
  if (!servers.includes(signed.signer))
    throw new PolicyRefused('signer', `${signed.signer} signed a policy of ${operator}, and is none of its servers.`)
  const message = signedBytes('cpns-policy-v1', await crypto.sha256(policyBytes(signed.text)))
  const signature = fromBase64url(signed.signature) ?? new Uint8Array(0)
  if (!(await crypto.ed25519Verify(publicKeyOf(serverId(signed.signer)), message, signature)))
    throw new PolicyRefused('signature', `The policy was not signed by ${signed.signer}, or was changed since.`)
  const parsed = servedPolicy.safeParse(jsonOf(signed.text))
  if (!parsed.success) throw new PolicyRefused('malformed', `What ${signed.signer} signed is no policy.`)
  if (parsed.data.operator === operator) return parsed.data
  throw new PolicyRefused('operator', `The policy is one of ${parsed.data.operator}, not of ${operator}.`)
}

/**
 * What is believed after a policy was offered: it, or `undefined` when it is what is known already.
 * @throws {PolicyRefused}
 */
export async function believe(
  signed: SignedPolicy,
  known: KnownPolicy | undefined,
  anchor: PolicyAnchor,
  crypto: Pick<ClientCrypto, 'sha256' | 'ed25519Verify'>,
): Promise<KnownPolicy | undefined> {
  const policy = await openPolicy(signed, { ...anchor, servers: trustedBy(known, anchor) }, crypto)
  const order = known ? comparePolicies(policy.version, known.policy.version) : 1
  if (order < 0)
    throw new PolicyRefused('rollback', `The policy was said at ${policy.version.stamp}, before the one that is known.`)
  if (order === 0) return undefined
  return { policy, chain: lengthened(known?.chain ?? [], signed, anchor) }
}

/** What a chain that was kept leads to. @throws {PolicyRefused} */
export async function recall(
  chain: readonly SignedPolicy[],
  anchor: PolicyAnchor,
  crypto: Pick<ClientCrypto, 'sha256' | 'ed25519Verify'>,
): Promise<KnownPolicy | undefined> {
  let policy: ServedPolicy | undefined
  for (const signed of chain) {
    const servers = policy ? policy.servers.map(({ server }) => server) : anchor.servers
    policy = await openPolicy(signed, { ...anchor, servers }, crypto)
  }
  return policy && { policy, chain }
}

/** The servers of the operator that the client goes to, and believes. */
export function trustedBy(known: KnownPolicy | undefined, { servers }: PolicyAnchor): readonly ServerId[] {
  const named = known?.policy.servers.map(({ server }) => server) ?? []
  // A policy without a server that can be reached leaves the client with those that it was given.
  return named.length > 0 ? named : servers
}

/** The shortest way from the provisioned servers to the signer of `next`, and `next`. */
function lengthened(chain: readonly SignedPolicy[], next: SignedPolicy, { servers }: PolicyAnchor): SignedPolicy[] {
  if (servers.includes(next.signer)) return [next]
  const index = chain.findIndex(({ text }) => namesServer(text, next.signer))
  return [...chain.slice(0, index + 1), next].slice(-longestChain)
}

function namesServer(text: string, server: ServerId): boolean {
  const parsed = servedPolicy.safeParse(jsonOf(text))
  return parsed.success && parsed.data.servers.some(each => each.server === server)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
