/**
 * Runs what it is given one after another, in the order of the calls; a failure is its caller's and holds up nobody. What is
 * read and what is written of a replica takes its turn, so that nobody reads half of a change.
 */
export function inTurn(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return work => {
    const turn = last.then(work, work)
    last = turn
    return turn
  }
}
