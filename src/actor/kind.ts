import type { Cancel } from '../ports/clock.ts'
import { Cell } from './cell.ts'
import { defaultSupervision, type Supervision } from './supervision.ts'
import type { System } from './system.ts'
import type { ActorKind, Behaviour, Message, Overflow } from './types.ts'

const defaultCapacity = 1_024

/** Actors that cannot be passivated right now are passed over, so many at a time: room is made in bounded time. */
const passivationTries = 8

/** All actors of one kind, and which of them were not used for long. */
export class Kind {
  readonly definition: ActorKind<Message>
  readonly name: string
  readonly capacity: number
  readonly overflow: Overflow
  readonly supervision: Supervision
  readonly #system: System
  readonly #cells = new Map<string, Cell>()
  /** Active actors, the least recently used first; kept only if the kind is passivated at all. */
  readonly #recent = new Set<Cell>()
  readonly #idleMs: number
  readonly #maxActive: number
  readonly #maxWeight: number
  #weight = 0
  #cancelSweep: Cancel | undefined

  constructor(system: System, definition: ActorKind<Message>) {
    if (definition.name === '' || definition.name.includes('/')) {
      throw new RangeError(`"${definition.name}" cannot name a kind of actor: use a word without "/".`)
    }
    this.#system = system
    this.definition = definition
    this.name = definition.name
    this.capacity = Math.max(1, definition.mailbox?.capacity ?? defaultCapacity)
    this.overflow = definition.mailbox?.overflow ?? 'reject'
    this.supervision = { ...defaultSupervision, ...definition.supervision }
    this.#idleMs = definition.passivation?.idleMs ?? Number.POSITIVE_INFINITY
    this.#maxActive = definition.passivation?.maxActive ?? Number.POSITIVE_INFINITY
    this.#maxWeight = definition.passivation?.maxWeight ?? Number.POSITIVE_INFINITY
  }

  pathOf(key: string): string {
    return `${this.name}/${key}`
  }

  create(key: string): Behaviour<Message> {
    return this.definition.create(key)
  }

  cells(): Iterable<Cell> {
    return this.#cells.values()
  }

  find(key: string): Cell | undefined {
    return this.#cells.get(key)
  }

  cell(key: string): Cell {
    const found = this.#cells.get(key)
    if (found) return found
    const cell = new Cell(this.#system, this, key)
    this.#cells.set(key, cell)
    return cell
  }

  /** The actor received a message. */
  touch(cell: Cell): void {
    if (!this.definition.passivation) return
    cell.lastActiveMs = this.#system.clock.elapsed()
    this.#recent.delete(cell)
    this.#recent.add(cell)
    if (this.#idleMs < Number.POSITIVE_INFINITY && !this.#cancelSweep) this.#sweepAfter(this.#idleMs)
  }

  /** The actor is about to leave: it no longer counts as active. */
  forget(cell: Cell): void {
    this.#recent.delete(cell)
    this.weigh(cell, 0)
  }

  /** Whether it matters what the actors weigh. */
  get isWeighed(): boolean {
    return this.#maxWeight < Number.POSITIVE_INFINITY
  }

  weigh(cell: Cell, weight: number): void {
    this.#weight += weight - cell.weight
    cell.weight = weight
  }

  remove(cell: Cell): void {
    this.forget(cell)
    if (this.#cells.get(cell.key) === cell) this.#cells.delete(cell.key)
  }

  /** Passivates the least recently used as long as too many are active. */
  trim(): void {
    let tries = passivationTries
    for (const cell of this.#recent) {
      if (this.#hasRoom() || tries-- === 0) return
      if (!cell.passivate()) this.touch(cell)
    }
  }

  #hasRoom(): boolean {
    const { size } = this.#recent
    return size <= this.#maxActive && (this.#weight <= this.#maxWeight || size <= 1)
  }

  close(): void {
    this.#cancelSweep?.()
  }

  #sweepAfter(delayMs: number): void {
    this.#cancelSweep = this.#system.clock.after(delayMs, () => this.#sweep())
  }

  /** Passivates what has been idle; what may not be, is asked again as if it had just been used. */
  #sweep(): void {
    this.#cancelSweep = undefined
    const nowMs = this.#system.clock.elapsed()
    for (const cell of this.#recent) {
      const remainingMs = cell.lastActiveMs + this.#idleMs - nowMs
      if (remainingMs > 0) {
        this.#sweepAfter(Math.max(remainingMs, this.#idleMs / 16))
        break
      }
      if (!cell.passivate()) this.touch(cell)
    }
  }
}
