import { z } from 'zod'
import { FileProblem, readText } from '../adapters/files.ts'
import { serverId } from '../ports/names.ts'

/*
 * What a server that joins an operator says about itself, for the operator's manifest and for sealing secrets to it.
 * Public: it may be mailed.
 */

const schema = z.strictObject({
  version: z.literal(1),
  operator: z.string(),
  peerId: z.string().transform(text => serverId(text)),
  addresses: z.array(z.string()),
  clientUrls: z.array(z.string()),
  /** X25519 public key, base64url. */
  exchangeKey: z.base64url().length(43),
})

export type ServerCard = z.infer<typeof schema>

export const formatServerCard = (card: Omit<ServerCard, 'version'>): string =>
  `${JSON.stringify({ version: 1, ...card }, undefined, 2)}\n`

/** @throws {FileProblem} */
export async function readServerCard(path: string): Promise<ServerCard> {
  try {
    return schema.parse(JSON.parse(await readText(path)))
  } catch (error) {
    if (error instanceof FileProblem) throw error
    throw new FileProblem(`${path} does not describe a server; use the server.json that cpns init wrote.`)
  }
}
