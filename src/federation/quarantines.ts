import { z } from 'zod'
import type { Documents } from '../document/documents.ts'
import { documentId } from '../document/names.ts'
import type { OperatorId, ServerId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Trust } from './trust.ts'

/*
 * Operators that this one has put into quarantine: registers `quarantine/<operator>` of its document `policy/<operator>`, so all
 * its servers follow, each as soon as it hears of it, and restarts change nothing. There are no links with such an operator, nothing
 * of it is taken from anybody, and nothing is forwarded to it; what is held of it stays.
 */

export interface Quarantine {
  readonly operator: OperatorId
  /** For whoever releases it: what the operator of this server wrote. */
  readonly why: string
  /** Milliseconds since 1970. */
  readonly sinceMs: number
  /** At which server it was said. */
  readonly server: ServerId
}

/** What cannot be done. The message says why. */
export class QuarantineRefused extends Error {
  override readonly name = 'QuarantineRefused'
}

export const maxWhyLength = 500

const valueSchema = z.object({ why: z.string() })
const prefix = 'quarantine/'
const settleMs = 30_000

export class Quarantines {
  readonly #documents: Pick<Documents, 'read' | 'write' | 'subscribe'>
  readonly #trust: Pick<Trust, 'operator' | 'operators' | 'quarantine' | 'isQuarantined'>
  readonly #telemetry: Telemetry
  readonly #retryAfter: (delayMs: number, retry: () => void) => () => void
  #standing: readonly Quarantine[] = []
  #unsubscribe: () => void = () => {}
  #cancelRetry: () => void = () => {}

  constructor(options: {
    readonly documents: Pick<Documents, 'read' | 'write' | 'subscribe'>
    readonly trust: Pick<Trust, 'operator' | 'operators' | 'quarantine' | 'isQuarantined'>
    readonly telemetry: Telemetry
    readonly clock: { after(delayMs: number, act: () => void): () => void }
  }) {
    this.#documents = options.documents
    this.#trust = options.trust
    this.#telemetry = options.telemetry
    this.#retryAfter = (delayMs, retry) => options.clock.after(delayMs, retry)
  }

  /** Reads who is in quarantine, before there are links, and follows what changes. */
  async start(): Promise<void> {
    this.#unsubscribe = this.#documents.subscribe(({ document }) => {
      if (document === this.#document) void this.#follow()
    })
    await this.#follow()
  }

  stop(): void {
    this.#unsubscribe()
    this.#cancelRetry()
  }

  list(): readonly Quarantine[] {
    return this.#standing
  }

  /** In force here when it resolves. @throws {QuarantineRefused} */
  async impose(operator: OperatorId, why: string): Promise<void> {
    const text = why.trim()
    if (operator === this.#trust.operator) throw new QuarantineRefused(`${operator} is this server's own operator.`)
    if (!this.#trust.operators().includes(operator))
      throw new QuarantineRefused(`${operator} is not trusted; cpns peer list shows who is.`)
    if (text.length === 0 || text.length > maxWhyLength)
      throw new QuarantineRefused(`Say why in 1 to ${maxWhyLength} characters.`)
    await this.#say(operator, { why: text })
  }

  /** @throws {QuarantineRefused} */
  async release(operator: OperatorId): Promise<void> {
    if (!this.#trust.isQuarantined(operator)) throw new QuarantineRefused(`${operator} is not in quarantine.`)
    await this.#say(operator, null)
  }

  get #document() {
    return documentId({ kind: 'policy', owner: this.#trust.operator })
  }

  async #say(operator: OperatorId, value: { readonly why: string } | null): Promise<void> {
    const writes = [{ key: prefix + operator, value }]
    await this.#documents.write(this.#document, () => ({ writes, answer: undefined }))
    await this.#read()
  }

  async #follow(): Promise<void> {
    try {
      await this.#read()
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      this.#telemetry.log('error', 'quarantine.unreadable', { message })
      this.#cancelRetry()
      this.#cancelRetry = this.#retryAfter(settleMs, () => void this.#follow())
    }
  }

  async #read(): Promise<void> {
    const registers = await this.#documents.read(this.#document)
    const standing: Quarantine[] = []
    for (const [key, { stamp, server, value }] of registers.entries(prefix)) {
      // Who wrote something that cannot be read here meant that operator to be kept off.
      const why = valueSchema.safeParse(value).data?.why ?? 'A later version of this program says so.'
      if (value !== null)
        standing.push({ operator: key.slice(prefix.length) as OperatorId, why, sinceMs: stamp, server })
    }
    const isKept = (operator: OperatorId) => this.#standing.some(each => each.operator === operator)
    for (const { operator, why, server } of standing)
      if (!isKept(operator)) this.#telemetry.log('warn', 'quarantine.imposed', { operator, why, server })
    for (const { operator } of this.#standing)
      if (!standing.some(each => each.operator === operator))
        this.#telemetry.log('warn', 'quarantine.released', { operator })
    this.#standing = standing
    this.#trust.quarantine(new Set(standing.map(({ operator }) => operator)))
  }
}
