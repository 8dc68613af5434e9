import type { KeySource, Subscriber } from '../ports/key-source.ts'

/** An operator's subscribers, in memory; shared by its servers. */
export class SimulatedKeySource implements KeySource {
  /** While set, nobody is found and `find` fails: the source cannot be reached. */
  isDown = false
  readonly #subscribers = new Map<string, Subscriber>()

  constructor(subscribers: Iterable<Subscriber> = []) {
    for (const subscriber of subscribers) this.add(subscriber)
  }

  add(subscriber: Subscriber): void {
    this.#subscribers.set(subscriber.identity, subscriber)
  }

  remove(identity: string): void {
    this.#subscribers.delete(identity)
  }

  async find(identity: string): Promise<Subscriber | undefined> {
    if (this.isDown) throw new Error('The source of keys cannot be reached.')
    return this.#subscribers.get(identity)
  }
}
