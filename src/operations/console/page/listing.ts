import { whenAsked } from './asked.ts'
import type { State } from './state.ts'
import { type Child, element } from './tree.ts'
import type { Acts } from './view.ts'

/* Long lists: so much of them as was asked for, a page after the other, and a field to find something in it. */

const pageSize = 100

interface Page<T> {
  readonly items: readonly T[]
  readonly next?: string
}

/** What a route lists, from its beginning through all pages that the reader wanted. */
export function listed<T>(path: string, state: State, acts: Acts, query: Readonly<Record<string, string>> = {}) {
  const wanted = state.pages[state.place.name] ?? 1
  const items: T[] = []
  let after: string | undefined
  let failed: readonly Child[] = []
  let isMore = false
  for (let page = 0; page < wanted; page++) {
    const search = new URLSearchParams({ ...query, limit: `${pageSize}`, ...(after !== undefined && { after }) })
    const asked = acts.ask(`${path}?${search}`)
    failed = whenAsked<Page<T>>(asked, found => {
      items.push(...found.items)
      after = found.next
      return []
    })
    isMore = after !== undefined
    if (!isMore) break
  }
  return {
    show: (all: (items: readonly T[]) => readonly Child[]): readonly Child[] => [
      ...failed,
      ...(items.length > 0 || failed.length === 0 || failed[0] === false ? all(items) : []),
      isMore &&
        element('button', { type: 'button', class: 'plain more' }, 'Show more', { on: { click: () => acts.more() } }),
    ],
  }
}

/** Those of which some text has all words that are searched for, whatever their case. */
export function matching<T>(
  items: readonly T[],
  search: string | undefined,
  textsOf: (item: T) => readonly string[],
): readonly T[] {
  const words = (search ?? '')
    .toLowerCase()
    .split(/\s+/)
    .filter(word => word !== '')
  if (words.length === 0) return items
  return items.filter(item => {
    const text = textsOf(item).join(' ').toLowerCase()
    return words.every(word => text.includes(word))
  })
}

export const searchField = (label: string, hint: string, state: State, acts: Acts): Child =>
  element(
    'form',
    { class: 'search', role: 'search' },
    [
      element('label', { for: 'search' }, `${label} (${hint})`),
      element('input', { id: 'search', type: 'search', autocomplete: 'off', spellcheck: 'false' }, [], {
        key: state.place.name,
        on: {
          input: event => {
            if (event.target instanceof HTMLInputElement) acts.search(event.target.value)
          },
        },
      }),
    ],
    { on: { submit: event => event.preventDefault() } },
  )
