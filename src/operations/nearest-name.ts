/** The candidate that differs least from a name that somebody got wrong; `undefined` if there are none. */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  return [...candidates].toSorted((a, b) => distance(a, name) - distance(b, name))[0]
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
