import { z } from 'zod'
import { defineProtocol, type NodeBehaviour, type StudyNode } from '../protocol.ts'

/*
 * Epidemic algorithms of Demers et al. 1987 (Xerox PARC CSL-89-1), in rounds, on a full topology: one update, which node 0
 * has at the beginning. Told: `susceptible` nodes that never heard of it, how many are `interested` in spreading it, the round in
 * which each node was informed (`informedAt`), and updates sent, by the kind `update`.
 *
 * What a node knew is judged by the state at the start of the round: an update that comes twice in one round was needed
 * twice. The publication does not say so; the other reading misses its figures.
 */

const parameters = z.strictObject({
  /** `push`: who has the rumour calls somebody each round. `pull`: everybody asks somebody each round. */
  direction: z.enum(['push', 'pull']),
  /**
   * When a node loses interest. `counter`: after k needless calls in a row, as the partner tells (a useful one resets the
   * counter). `coin`: with probability 1/k after every call, whatever the partner says. `never`: anti-entropy, as far as
   * one update goes.
   */
  loses: z.enum(['counter', 'coin', 'never']),
  k: z.int().positive().default(1),
})

/** `u` carries the update; `?` asks for it; `+` and `-` say that it was needed, or was not. */
type RumourMessage = 'u' | '?' | '+' | '-'
type Here = StudyNode<RumourMessage, z.infer<typeof parameters>>

export default defineProtocol({
  name: 'rumour',
  parameters,
  node: (here: Here): NodeBehaviour<RumourMessage> =>
    here.parameters.direction === 'push' ? pushing(here) : pulling(here),
})

/** What a node knows of the update: since when, and whether it still spreads it. */
class Knowledge {
  #since = Number.POSITIVE_INFINITY
  readonly #here: Here

  constructor(here: Here) {
    this.#here = here
    here.count('susceptible')
  }

  get isInformed(): boolean {
    return this.#since <= this.#here.now
  }

  /** Whether it was so when the round began. */
  get wasInformed(): boolean {
    return this.#since < this.#here.now
  }

  learn(): void {
    if (this.isInformed) return
    this.#since = this.#here.now
    this.#here.count('susceptible', -1)
    this.#here.count('interested')
    this.#here.sample('informedAt', this.#since)
  }
}

const update = { elements: 1, kind: 'update' }
const feedback = { kind: 'feedback' }
const request = { kind: 'request' }

function pushing(here: Here): NodeBehaviour<RumourMessage> {
  const { loses, k } = here.parameters
  const knowledge = new Knowledge(here)
  let needless = 0
  const learn = () => {
    if (!knowledge.isInformed) here.after(1, 'call')
    knowledge.learn()
  }
  const call = () => {
    here.send(here.anyNeighbour(), 'u', update)
    if (loses === 'coin' && here.random.chance(1 / k)) here.count('interested', -1)
    else here.after(1, 'call')
  }
  return {
    start() {
      if (here.id === 0) learn()
    },
    timer() {
      // What the partners of the last round said is known by now.
      if (loses === 'counter' && needless >= k) here.count('interested', -1)
      else call()
    },
    message(from, message) {
      if (message === 'u') {
        if (loses === 'counter') here.send(from, knowledge.wasInformed ? '-' : '+', feedback)
        learn()
      } else needless = message === '+' ? 0 : needless + 1
    },
  }
}

/**
 * Several may ask a node in one round: if any of them needed the update, the counter is reset; if none did, it grows by
 * one. Nodes that ask say nothing of what they know, and ask for ever: `interested` tells when nothing more can
 * happen.
 */
function pulling(here: Here): NodeBehaviour<RumourMessage> {
  const { loses, k } = here.parameters
  const knowledge = new Knowledge(here)
  let needless = 0
  let asked = false
  let useful = false
  const settle = () => {
    if (!asked) return
    if (loses === 'counter') needless = useful ? 0 : needless + 1
    if (loses === 'coin' && here.random.chance(1 / k)) needless = k
    asked = false
    useful = false
    if (needless === k) here.count('interested', -1)
  }
  return {
    start() {
      if (here.id === 0) knowledge.learn()
      here.after(1, 'ask')
    },
    timer() {
      settle()
      here.send(here.anyNeighbour(), '?', request)
      here.after(1, 'ask')
    },
    message(from, message) {
      switch (message) {
        case '?':
          if (knowledge.wasInformed && needless < k) here.send(from, 'u', update)
          break
        case 'u':
          here.send(from, knowledge.wasInformed ? '-' : '+', feedback)
          knowledge.learn()
          break
        default:
          asked = true
          useful ||= message === '+'
      }
    },
  }
}
