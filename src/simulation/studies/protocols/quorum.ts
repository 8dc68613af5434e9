import { z } from 'zod'
import type { Protocol, StudyNode } from '../protocol.ts'

/*
 * Partial quorums as PBS models them (Bailis et al., VLDB 2012, the WARS model): a coordinator sends a write (W) to all N
 * replicas, and has committed it when so many acknowledgements (A) are there; a reader asks (R) all replicas, and goes by
 * the first answers (S). How long after the commit must a read begin to see the write?
 *
 * Each replica has a coordinator at its side: node i < N coordinates at the site of replica N + i. Every write has its site
 * drawn, and every read. A read begins at the moment of the commit, as if the client knew of it; from when its requests and the
 * write reached the replicas follows by how much later it would have had to begin.
 */

const parameters = z.strictObject({
  replicas: z.int().positive(),
  trials: z.int().positive(),
  /** Between two writes. They do not affect each other. */
  intervalMs: z.number().positive(),
  /** Numbers of acknowledgements that count as a commit; each begins a read of its own. */
  writeQuorums: z.array(z.int().positive()).min(1),
  /** Numbers of answers that a read goes by. */
  readQuorums: z.array(z.int().positive()).min(1),
})
type Quorums = z.infer<typeof parameters>

/** The kind, the number of the trial, and for which write quorum a read is (0 for writes). */
type QuorumMessage = readonly [kind: 'W' | 'A' | 'R' | 'S', trial: number, quorum: number]

/** What the observer knows of one trial. Times are those of the simulation. */
interface Trial {
  acknowledgements: number
  readonly writtenAt: (number | undefined)[]
  readonly reads: Map<number, Read>
}

interface Read {
  readonly askedAt: (number | undefined)[]
  /** Replicas in the order of their answers. */
  readonly answered: number[]
}

type Here = StudyNode<QuorumMessage, Quorums>

/**
 * Samples `R=<r> W=<w>`: milliseconds that a read must wait after the commit to see the write, 0 if it need not wait. One
 * protocol for each run: its nodes share the observer, and the client that knows of commits at once.
 */
export default function quorum(): Protocol<QuorumMessage, Quorums> {
  const observer = new Observer()
  const readers: ((trial: number, quorum: number) => void)[] = []

  function coordinator(here: Here) {
    const { replicas, trials, intervalMs, writeQuorums } = here.parameters
    const toAll = (kind: 'W' | 'R', trial: number, quorum: number) => here.broadcast([kind, trial, quorum], { kind })
    readers[here.id] = (trial, quorum) => toAll('R', trial, quorum)
    let trial = here.id
    const next = () => {
      if (trial < trials) here.after(replicas * intervalMs, 'write')
    }
    return {
      start: next,
      // The sites take turns at writing, and each read's site is drawn: as good as drawing both.
      timer() {
        observer.began(trial)
        toAll('W', trial, 0)
        trial += replicas
        next()
      },
      message(from: number, [kind, of, quorum]: QuorumMessage) {
        if (kind === 'S') {
          observer.answered(of, quorum, from - replicas, here)
          return
        }
        const acknowledgements = observer.acknowledged(of)
        if (!writeQuorums.includes(acknowledgements)) return
        observer.committed(of, acknowledgements)
        readers[here.random.below(replicas)]?.(of, acknowledgements)
      },
    }
  }

  function replica(here: Here) {
    const number = here.id - here.parameters.replicas
    return {
      message(from: number, [kind, trial, quorum]: QuorumMessage) {
        if (kind === 'W') {
          observer.written(trial, number, here)
          here.send(from, ['A', trial, 0], { kind: 'A' })
        } else {
          observer.asked(trial, quorum, number, here.now)
          here.send(from, ['S', trial, quorum], { kind: 'S' })
        }
      },
    }
  }

  return {
    name: 'quorum',
    parameters,
    node: here => (here.id < here.parameters.replicas ? coordinator(here) : replica(here)),
  }
}

/** Sees all sites at once, as nobody in the system can, and says how stale each read was. */
class Observer {
  readonly #trials = new Map<number, Trial>()

  began(trial: number): void {
    this.#trials.set(trial, { acknowledgements: 0, writtenAt: [], reads: new Map() })
  }

  written(trial: number, replica: number, here: Here): void {
    const at = this.#trials.get(trial)
    if (!at) return
    at.writtenAt[replica] = here.now
    this.#settle(trial, at, here)
  }

  acknowledged(trial: number): number {
    const at = this.#trials.get(trial)
    if (!at) return 0
    at.acknowledgements += 1
    return at.acknowledgements
  }

  committed(trial: number, quorum: number): void {
    this.#trials.get(trial)?.reads.set(quorum, { askedAt: [], answered: [] })
  }

  asked(trial: number, quorum: number, replica: number, now: number): void {
    const read = this.#trials.get(trial)?.reads.get(quorum)
    if (read) read.askedAt[replica] = now
  }

  answered(trial: number, quorum: number, replica: number, here: Here): void {
    const at = this.#trials.get(trial)
    at?.reads.get(quorum)?.answered.push(replica)
    if (at) this.#settle(trial, at, here)
  }

  /** When all is known of a trial, its reads are judged, and it is forgotten. */
  #settle(trial: number, at: Trial, here: Here): void {
    const { replicas, writeQuorums, readQuorums } = here.parameters
    if (at.reads.size < writeQuorums.length || at.writtenAt.filter(isTime).length < replicas) return
    if ([...at.reads.values()].some(({ answered }) => answered.length < replicas)) return
    this.#trials.delete(trial)
    for (const [writeQuorum, read] of at.reads) {
      for (const readQuorum of readQuorums) {
        const waits = read.answered
          .slice(0, readQuorum)
          .map(replica => (at.writtenAt[replica] ?? Number.NaN) - (read.askedAt[replica] ?? Number.NaN))
        here.sample(`R=${readQuorum} W=${writeQuorum}`, Math.max(0, Math.min(...waits)))
      }
    }
  }
}

const isTime = (time: number | undefined): time is number => time !== undefined
