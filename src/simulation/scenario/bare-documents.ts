import { documentId } from '../../document/names.ts'
import type { DocumentId } from '../../ports/names.ts'
import type { SimulatedFederation } from '../federation/federation.ts'
import type { SimulatedOperator } from '../federation/operator.ts'
import type { SimulatedServer } from '../federation/server.ts'
import type { RandomStream } from '../random-streams.ts'
import type { Scenario } from './schema.ts'

export interface BareDocument {
  readonly document: DocumentId
  readonly operator: SimulatedOperator
  readonly writers: readonly SimulatedServer[]
}

/** A write that was not taken, since its server does not serve at the moment. */
export class WriterDown extends Error {
  override readonly name = 'WriterDown'
}

/** Nobody knows whether the write was taken. */
export class WriterDied extends Error {
  override readonly name = 'WriterDied'
}

/** Documents that no client knows of: servers of their operators write them, and all servers of the operator hold them. */
export class BareDocuments {
  readonly all: readonly BareDocument[]
  readonly #plan: Scenario['documents']

  constructor(federation: SimulatedFederation, { documents }: Scenario) {
    this.#plan = documents
    this.all = Array.from({ length: documents.count }, (_, number) => {
      const { operators } = federation
      const operator = operators[number % operators.length] as SimulatedOperator
      const servers = federation.serversOf(operator)
      const turn = Math.floor(number / operators.length) * documents.writers
      const writers = Array.from(
        { length: Math.min(documents.writers, servers.length) },
        (_, at) => servers[(turn + at) % servers.length] as SimulatedServer,
      )
      const name = {
        kind: 'conversation',
        owner: operator.id,
        user: 'bare',
        conversation: `d-${number}`,
        part: 0,
      } as const
      return { document: documentId(name), operator, writers }
    })
  }

  /** Writes one register. Draws all that it needs before it waits. @throws {WriterDown} and whatever the node says */
  async write({ document, writers }: BareDocument, random: RandomStream): Promise<void> {
    const { keys, bytes, removes } = this.#plan
    const writer = random.pick(writers)
    const key = `key-${random.below(keys)}`
    const text = Buffer.from(random.bytes(bytes)).toString('base64url').slice(0, bytes)
    const value = random.chance(removes) ? null : text
    const { node } = writer
    const { run } = writer.host
    if (!node || !run) throw new WriterDown(`${writer.name} does not serve.`)
    const died = Promise.withResolvers<never>()
    run.whenOver(() => died.reject(new WriterDied(`${writer.name} died before it had answered.`)))
    await Promise.race([
      node.documents.write(document, () => ({ writes: [{ key, value }], answer: undefined })),
      died.promise,
    ])
  }
}
