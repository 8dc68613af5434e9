import { createActorSystem } from '../../../actor/system.ts'
import { createDocuments } from '../../../document/create-documents.ts'
import type { Authorship } from '../../../document/documents.ts'
import { asDocumentId } from '../../../document/names.ts'
import { versionOf } from '../../../document/version.ts'
import type { Crypto } from '../../../ports/crypto.ts'
import { type ServerIdentity, signedBytes } from '../../../ports/identity.ts'
import { type LogId, operatorId, serverOfPublicKey } from '../../../ports/names.ts'
import type { HostPorts } from '../../host.ts'
import { type Inspection, type Replica, sortedContent } from './replica.ts'

const operator = operatorId('a.example')
const document = asDocumentId('pn/a.example/amnesia')

/** What one replica asks the other for, with what it holds; and what it is sent. Bytes in base64. */
type Said =
  | { readonly says: 'have'; readonly heads: readonly (readonly [log: LogId, length: number, hash: string])[] }
  | { readonly says: 'entries'; readonly entries: readonly string[] }

/** The identity of a server of the operator, which outlives its runs. */
export function identityOf(privateKey: Uint8Array, { ed25519 }: Pick<Crypto, 'ed25519'>): ServerIdentity {
  return {
    operator,
    server: serverOfPublicKey(ed25519.publicKey(privateKey)),
    sign: (purpose, digest) => ed25519.sign(privateKey, signedBytes(purpose, digest)),
  }
}

/**
 * The production document layer on the simulated disk. What is durable is pushed, and what lacks is asked for, with the
 * entries as they are; only the way they travel is the study's own.
 */
export function ourReplica(
  ports: HostPorts,
  peer: string,
  identity: ServerIdentity,
  servers: readonly ServerIdentity[],
): Replica {
  const { clock, random, crypto, store, telemetry, messenger } = ports
  const ids = servers.map(({ server }) => server)
  const authorship: Authorship = {
    mayHaveWritten: (owner, server) => owner === operator && ids.includes(server),
    servers: () => ids,
  }
  const actors = createActorSystem({ clock, random })
  const documents = createDocuments({ operator, identity, actors, store, crypto, clock, random, authorship, telemetry })
  const source = ids.find(id => id !== identity.server) ?? identity.server
  const acknowledged = new Set<string>()
  const say = (said: Said) => messenger.send(peer, Buffer.from(JSON.stringify(said)), said.says)
  const send = (entries: readonly Uint8Array[]) => {
    if (entries.length > 0) say({ says: 'entries', entries: entries.map(toBase64) })
  }
  documents.subscribe(notice => {
    if (notice.source === 'own') send(notice.entries.map(({ bytes }) => bytes))
  })
  async function hear(said: Said): Promise<void> {
    if (said.says === 'entries') {
      await documents.ingest(document, said.entries.map(fromBase64), source)
      return
    }
    const version = new Map(said.heads.map(([log, length]) => [log, length]))
    const hashes = new Map(said.heads.map(([log, , hash]) => [log, fromBase64(hash)]))
    send((await documents.missing(document, version, maxAnswerBytes, hashes)).entries)
  }
  messenger.listen((_from, bytes) => void hear(JSON.parse(Buffer.from(bytes).toString()) as Said))
  return {
    acknowledged,
    write(key, value) {
      const writes = [{ key, value }]
      documents.write(document, () => ({ writes, answer: undefined })).then(() => acknowledged.add(key), ignore)
    },
    sync() {
      documents.index(document).then(index => {
        const heads = (index?.heads ?? []).map(({ log, length, hash }) => [log, length, toBase64(hash)] as const)
        say({ says: 'have', heads })
      }, ignore)
    },
    async inspect(): Promise<Inspection> {
      const registers = await documents.read(document)
      const values = [...registers.entries()].map(([key, { value }]) => [key, JSON.stringify(value)] as const)
      const index = await documents.index(document)
      const heads = [...versionOf(index)].length
      return { content: sortedContent(values), version: `${heads} ${toBase64(index?.digest ?? new Uint8Array(0))}` }
    },
  }
}

const maxAnswerBytes = 64 * 1024
const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
const fromBase64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'))
/** A write that failed was not acknowledged: the study counts those that were. */
const ignore = () => {}
