import { z } from 'zod'
import { operator } from '../../commands/fields.ts'
import { framed } from '../../commands/framing.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import { clientClass, conductShape, server } from './rules.ts'

/*
 * What a client is told of its operator's policy: the rules of its class, and where the servers are by the manifests that the
 * answering server knows. That server signs the very text with its manifest key, so that a client that keeps it knows later what
 * it keeps.
 */

/**
 * Which of two policies is the later one: what the operator has said, by its register's stamp and the server that took it; then the
 * manifests that the servers' places are from, by the sum of their numbers, each of which rises.
 */
export const policyVersion = z.strictObject({
  /** Milliseconds since 1970 at which the operator said it; 0: it never has. */
  stamp: z.int().min(0),
  /** The server that took it; empty with stamp 0. */
  origin: z.string().max(64),
  manifests: z.int().min(0),
})
export type PolicyVersion = z.infer<typeof policyVersion>

const url = z.url({ protocol: /^wss?$/ }).max(256)
const place = { server, urls: z.array(url).min(1).max(16) }

export const servedPolicy = z.strictObject({
  operator,
  class: clientClass,
  version: policyVersion,
  ...conductShape.shape,
  /** The servers that clients of this class use. */
  servers: z.array(z.strictObject({ ...place, weight: z.int().min(1), order: z.int().min(1) })).max(512),
  /** Servers of other operators that this operator may send the client to. */
  partners: z.array(z.strictObject({ operator, servers: z.array(z.strictObject(place)).max(512) })).max(16),
})
export type ServedPolicy = z.infer<typeof servedPolicy>

/** Far above what 512 servers with a URL or two need. */
const maxTextChars = 512 * 1024

export const signedPolicy = z.strictObject({
  /** A {@link servedPolicy} as JSON: what is signed are the bytes of this text. */
  text: z.string().max(maxTextChars),
  /** The server that has signed it. */
  signer: server,
  /** Ed25519 with the purpose `cpns-policy-v1`, base64url. */
  signature: z.string().regex(/^[A-Za-z0-9_-]{86}$/, { error: 'expected an Ed25519 signature in base64url' }),
})
export type SignedPolicy = z.infer<typeof signedPolicy>

/** What is hashed and signed. */
export const policyBytes = (text: string): Uint8Array => framed('cpns-policy-v1', text)

/** Negative: `a` is the earlier one; 0: they are the same. */
export function comparePolicies(a: PolicyVersion, b: PolicyVersion): number {
  if (a.stamp !== b.stamp) return a.stamp - b.stamp
  if (a.origin !== b.origin) return a.origin < b.origin ? -1 : 1
  return a.manifests - b.manifests
}

/** The servers, of whichever operator, that a client may be sent to by this policy. */
export function placeOf(
  policy: Pick<ServedPolicy, 'operator' | 'servers' | 'partners'>,
  of: string,
): { readonly operator: OperatorId; readonly server: ServerId; readonly urls: readonly string[] } | undefined {
  const own = policy.servers.find(each => each.server === of)
  if (own) return { operator: policy.operator, ...own }
  for (const { operator, servers } of policy.partners) {
    const found = servers.find(each => each.server === of)
    if (found) return { operator, ...found }
  }
  return undefined
}
