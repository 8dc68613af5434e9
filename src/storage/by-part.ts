import type { PartRef } from './commit.ts'

/** Does something with names of objects, all of one part at once; answers in the order of the names. */
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
      const answers = await perform(at, names)
      for (const [index, answer] of answers.entries()) results[places[index] as number] = answer
    }),
  )
  return results
}
