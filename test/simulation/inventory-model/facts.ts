import type { Layout } from './step.ts'

/*
 * Each server holds facts. A fact is a time and a value, the later one counts, and each is the word of one operator.
 * Servers that reach each other come to hold the same, as far as they may.
 */

export interface Fact {
  readonly time: number
  /** `undefined`: it is no longer so. */
  readonly value: unknown
}

/** Of one operator. A key is words with spaces between them. */
export type Facts = ReadonlyMap<string, Fact>
/** What one server holds, by operator. */
export type Held = ReadonlyMap<string, Facts>

export class Holdings {
  readonly #layout: Layout
  readonly #held: Map<string, Held>

  constructor(layout: Layout, held: Iterable<readonly [string, Held]> = []) {
    this.#layout = layout
    this.#held = new Map(held)
  }

  copy(): Holdings {
    return new Holdings(this.#layout, this.#held)
  }

  at(server: string): Held {
    return this.#held.get(server) ?? new Map()
  }

  /** As the word of the server's own operator. */
  say(server: string, key: string, fact: Fact): void {
    const operator = this.operatorOf(server)
    const own = new Map(this.at(server).get(operator)).set(key, fact)
    this.#held.set(server, new Map(this.at(server)).set(operator, own))
  }

  /** @param mayHold whether an operator may hold anything of the PN, as a server sees it */
  sync(side: readonly string[], mayHold: (operator: string, asSeenAt: string) => boolean): void {
    while (side.some(from => side.some(to => from !== to && this.#pass(from, to, mayHold))));
  }

  /** Hands over what the other may hold and does not. Answers whether anything changed. */
  #pass(from: string, to: string, mayHold: (operator: string, asSeenAt: string) => boolean): boolean {
    const { home } = this.#layout
    const receiver = this.operatorOf(to)
    if (!mayHold(receiver, from)) return this.operatorOf(from) === home && this.#drop(to)
    let isNew = false
    for (const [operator, facts] of this.at(from)) {
      if (operator !== home && operator !== receiver && !mayHold(operator, from)) continue
      const held = new Map(this.at(to).get(operator))
      for (const [key, fact] of facts) {
        if ((held.get(key)?.time ?? -1) >= fact.time) continue
        held.set(key, fact)
        isNew = true
      }
      this.#held.set(to, new Map(this.at(to)).set(operator, held))
    }
    return isNew
  }

  /** Who is told that it may hold the PN no longer drops what others have said. Answers whether there was anything. */
  #drop(server: string): boolean {
    const held = this.at(server)
    if (!held.has(this.#layout.home)) return false
    const self = this.operatorOf(server)
    this.#held.set(server, new Map([...held].filter(([operator]) => operator === self)))
    return true
  }

  operatorOf(server: string): string {
    for (const [operator, servers] of this.#layout.operators) if (servers.includes(server)) return operator
    throw new RangeError(`There is no server ${server}.`)
  }

  /** Every moment at which something ends by itself, as far as anybody knows. */
  *ends(): Iterable<number> {
    for (const held of this.#held.values())
      for (const facts of held.values()) for (const { value } of facts.values()) if (endsAt(value)) yield value.until
  }
}

const endsAt = (value: unknown): value is { readonly until: number } =>
  typeof value === 'object' && value !== null && 'until' in value && typeof value.until === 'number'

export const saidIn = <T>(facts: Facts | undefined, key: string): T | undefined =>
  facts?.get(key)?.value as T | undefined

/** What is said under keys that begin with a word, with the words after it. */
export function* allIn<T>(
  facts: Facts | undefined,
  first: string,
): Iterable<{ readonly words: readonly string[]; readonly time: number; readonly value: T }> {
  for (const [key, { time, value }] of facts ?? []) {
    const [word, ...words] = key.split(' ')
    if (word === first && value !== undefined) yield { words, time, value: value as T }
  }
}
