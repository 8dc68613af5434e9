import type { NodeBehaviour, Protocol, StudyNode } from './protocol.ts'

/*
 * Epidemic algorithms of Demers et al. 1987 (Xerox PARC CSL-89-1), in rounds, on a full topology: one update, which node 0
 * has at the beginning. Counted: `informed` nodes, the round in which each was (`informedAt`), and update messages by kind.
 *
 * What a node knew is judged by the state at the start of the round: an update that comes twice in one round was needed
 * twice. The publication does not say so; the other reading misses its figures.
 */

export interface RumourOptions {
  /** `push`: who has the rumour calls somebody each round. `pull`: everybody asks somebody each round. */
  readonly direction: 'push' | 'pull'
  /**
   * When a node loses interest. `counter`: after k needless calls in a row, as the partner tells (a useful one resets the
   * counter). `coin`: with probability 1/k after every call, whatever the partner says.
   */
  readonly loses: 'counter' | 'coin'
  readonly k: number
}

/** `u` carries the update; `?` asks for it; `+` and `-` say that it was needed, or was not. */
type RumourMessage = 'u' | '?' | '+' | '-'

export const rumour = (options: RumourOptions): Protocol<RumourMessage> => ({
  name: `rumour by ${options.direction}, ${options.loses}, k=${options.k}`,
  node: here => (options.direction === 'push' ? pushing(here, options) : pulling(here, options)),
})

/** What a node knows of the update: since when, and whether it still spreads it. */
class Knowledge {
  #since = Number.POSITIVE_INFINITY
  readonly #here: StudyNode<RumourMessage>

  constructor(here: StudyNode<RumourMessage>) {
    this.#here = here
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
    this.#here.count('informed')
    this.#here.sample('informedAt', this.#since)
  }
}

const update = { elements: 1, kind: 'update' }
const feedback = { kind: 'feedback' }
const request = { kind: 'request' }

function pushing(here: StudyNode<RumourMessage>, { loses, k }: RumourOptions): NodeBehaviour<RumourMessage> {
  const knowledge = new Knowledge(here)
  let needless = 0
  const infect = () => {
    if (knowledge.isInformed) return
    knowledge.learn()
    here.after(1, 'call')
  }
  const isInterested = () => (loses === 'counter' ? needless < k : !here.random.chance(1 / k))
  return {
    start() {
      if (here.id === 0) infect()
    },
    timer(name) {
      // With the counter, what the partners of the last round said is known by now.
      if (name === 'call' && loses === 'counter' && !isInterested()) return
      here.send(here.anyNeighbour(), 'u', update)
      if (loses === 'counter' || isInterested()) here.after(1, 'call')
    },
    message(from, message) {
      if (message === 'u') {
        if (loses === 'counter') here.send(from, knowledge.wasInformed ? '-' : '+', feedback)
        infect()
      } else needless = message === '+' ? 0 : needless + 1
    },
  }
}

/**
 * Several may ask a node in one round: if any of them needed the update, the counter is reset; if none did, it grows by
 * one. Nodes that ask say nothing of what they know, and ask for ever: how many are `interested` in spreading the update is
 * counted for whoever ends the study.
 */
function pulling(here: StudyNode<RumourMessage>, { k }: RumourOptions): NodeBehaviour<RumourMessage> {
  const knowledge = new Knowledge(here)
  let needless = 0
  let asked = false
  let useful = false
  const learn = () => {
    if (!knowledge.isInformed) here.count('interested')
    knowledge.learn()
  }
  const settle = () => {
    if (!asked) return
    needless = useful ? 0 : needless + 1
    asked = false
    useful = false
    if (needless === k) here.count('interested', -1)
  }
  return {
    start() {
      if (here.id === 0) learn()
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
          learn()
          break
        default:
          asked = true
          useful ||= message === '+'
      }
    },
  }
}

/** Push anti-entropy, after the first call: whoever is informed calls somebody every round, until all are. */
export const pushForEver: Protocol<RumourMessage> = {
  name: 'anti-entropy by push',
  node(here) {
    const knowledge = new Knowledge(here)
    const learn = () => {
      if (knowledge.isInformed) return
      knowledge.learn()
      here.after(1, 'call')
      here.finish()
    }
    return {
      start() {
        if (here.id === 0) learn()
      },
      timer() {
        here.send(here.anyNeighbour(), 'u', update)
        here.after(1, 'call')
      },
      message: learn,
    }
  },
}
