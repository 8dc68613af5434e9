import { z } from 'zod'
import { nodeCrypto } from '../adapters/crypto.ts'
import { FileProblem, jsonOf, readText } from '../adapters/files.ts'
import { type ServerIdentity, signedBytes } from '../ports/identity.ts'
import { publicKeyOf, type ServerId, serverId } from '../ports/names.ts'
import { refuseLater } from '../ports/stored-format.ts'
import { base64url } from './base64url.ts'

/*
 * What a server that joins an operator says about itself, for the operator's manifest and for sealing secrets to it.
 * Public: it may be mailed. The server's own signature holds the key for secrets to its id, which the operator compares:
 * whoever changes the key on the way would otherwise be sent the operator's secrets.
 */

const formatVersion = 1
const schema = z.strictObject({
  version: z.literal(formatVersion),
  operator: z.string(),
  peerId: z.string().transform(text => serverId(text)),
  addresses: z.array(z.string()),
  clientUrls: z.array(z.string()),
  /** X25519 public key, base64url. */
  exchangeKey: z.base64url().length(43),
  /** Of operator, id and exchange key, by the key that the id names. */
  signature: z.base64url(),
})

export type ServerCard = z.infer<typeof schema>

export function formatServerCard(
  card: Omit<ServerCard, 'version' | 'operator' | 'peerId' | 'signature'>,
  identity: ServerIdentity,
): string {
  const { operator, server: peerId } = identity
  const signature = base64url.encode(identity.sign('cpns-server-card-v1', signedPart({ operator, peerId, ...card })))
  return `${JSON.stringify({ version: formatVersion, operator, peerId, ...card, signature }, undefined, 2)}\n`
}

/** @throws {FileProblem} {@link UnknownFormat} */
export async function readServerCard(path: string): Promise<ServerCard> {
  const card = parsed(path, await readText(path))
  const message = signedBytes('cpns-server-card-v1', signedPart(card))
  if (nodeCrypto().ed25519.verify(publicKeyOf(card.peerId), message, base64url.decode(card.signature))) return card
  throw new FileProblem(`${path} was changed after ${card.peerId} signed it; have it sent again, from that server.`)
}

function parsed(path: string, text: string): ServerCard {
  const file = jsonOf(text)
  refuseLater(path, file, formatVersion)
  const { data } = schema.safeParse(file)
  if (data) return data
  throw new FileProblem(`${path} does not describe a server; use the server.json that cpns init wrote.`)
}

const signedPart = ({ operator, peerId, exchangeKey }: { operator: string; peerId: ServerId; exchangeKey: string }) =>
  nodeCrypto().sha256(new TextEncoder().encode(JSON.stringify([operator, peerId, exchangeKey])))
