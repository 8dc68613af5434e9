import type { Json } from '../../document/documents.ts'
import type { CommandAnswer } from '../../federation/federation.ts'
import type { ServerId } from '../../ports/names.ts'
import type { Telemetry } from '../../ports/telemetry.ts'

export interface OutboxOptions<T> {
  /** Sends one request; it may take as long as requests take. */
  readonly send: (server: ServerId, batch: readonly T[]) => Promise<CommandAnswer>
  readonly maxBatch: number
  /** For one server; beyond it the oldest is dropped. */
  readonly maxWaiting: number
  /** What is sent, for logs and counters. */
  readonly what: 'notices' | 'presence'
  readonly telemetry: Telemetry
}

/**
 * What waits to be told at other servers, in order. One request is under way for each: so what is live never takes the
 * place of commands, and what comes meanwhile shares the next one. What a server does not take is dropped.
 */
export class Outbox<T extends Json> {
  readonly #options: OutboxOptions<T>
  /** By server; what waits already is not added again. */
  readonly #waiting = new Map<ServerId, Set<T>>()

  constructor(options: OutboxOptions<T>) {
    this.#options = options
  }

  add(server: ServerId, item: T): void {
    const waiting = this.#waiting.get(server)
    if (!waiting) {
      this.#waiting.set(server, new Set([item]))
      void this.#empty(server)
      return
    }
    waiting.add(item)
    if (waiting.size <= this.#options.maxWaiting) return
    const [oldest] = waiting
    if (oldest !== undefined) waiting.delete(oldest)
    this.#dropped('full', 1)
  }

  async #empty(server: ServerId): Promise<void> {
    // What is said in the same turn goes along.
    await Promise.resolve()
    for (;;) {
      const batch = this.#take(server, this.#options.maxBatch)
      if (batch.length === 0) break
      await this.#send(server, batch)
    }
    this.#waiting.delete(server)
  }

  async #send(server: ServerId, batch: readonly T[]): Promise<void> {
    const { what, telemetry } = this.#options
    try {
      const answer = await this.#options.send(server, batch)
      if (answer.ok) return
      this.#dropped(String(answer.status), batch.length)
      telemetry.log('info', `${what}.not-taken`, { peer: server, status: answer.status, reason: answer.cause })
      // Who cannot be reached now gets nothing late.
      if (answer.status === 423 || answer.status === 504)
        this.#dropped('unreachable', this.#take(server, Number.POSITIVE_INFINITY).length)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      this.#dropped('failed', batch.length)
      telemetry.log('error', `${what}.not-sent`, { peer: server, message })
    }
  }

  #take(server: ServerId, max: number): T[] {
    const waiting = this.#waiting.get(server) ?? new Set<T>()
    const taken = [...waiting].slice(0, max)
    for (const item of taken) waiting.delete(item)
    return taken
  }

  #dropped(why: string, count: number): void {
    if (count > 0) this.#options.telemetry.count(`cpns_${this.#options.what}_dropped_total`, { why }, count)
  }
}
