import type { PartRef } from './commit.ts'

/** What is written about so many objects fits into an entry: each may have eight flags, with the device that asked for them. */
const atOnce = 64

/** Does something with names of objects, those of one part together; answers in the order of the names. */
export async function byPart<N extends PartRef, R>(
  names: readonly N[],
  perform: (at: PartRef, inPart: readonly N[]) => Promise<readonly R[]>,
): Promise<R[]> {
  const parts = new Map<string, { readonly at: PartRef; readonly names: N[]; readonly places: number[] }>()
  for (const [place, name] of names.entries()) {
    const { container, part } = name
    const key = `${container}/${part}`
    const found = parts.get(key) ?? { at: { container, part }, names: [], places: [] }
    found.names.push(name)
    found.places.push(place)
    parts.set(key, found)
  }
  const results = new Array<R>(names.length)
  await Promise.all(
    [...parts.values()].map(async ({ at, names, places }) => {
      for (let from = 0; from < names.length; from += atOnce) {
        const answers = await perform(at, names.slice(from, from + atOnce))
        for (const [index, answer] of answers.entries()) results[places[from + index] as number] = answer
      }
    }),
  )
  return results
}
