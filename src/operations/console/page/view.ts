import type { Asked, Confirming, State } from './state.ts'
import { box, type Child, type Element, type Extras, element, span } from './tree.ts'

/* What every view is made of. */

/** What a view can have done. */
export interface Acts {
  /** What the node answers at this path, asked for when it was not yet, or may have changed. */
  ask(path: string): Asked
  /** The same for what does not change while the node runs. */
  askOnce(path: string): Asked
  /** Shows one more page of the list. */
  more(): void
  search(text: string): void
  /** Asks for a word before it is done. */
  confirm(action: Omit<Confirming, 'stage' | 'error'>): void
  /** @param said what was asked for with it */
  answer(isYes: boolean, said?: string): void
  unlock(token: string): void
  readonly trusting: {
    begin(): void
    /** Has the node say what the text of a manifest says. */
    examine(manifest: string): void
    /** Trusts what was examined. */
    confirm(): void
    /** Back to the manifest, or away. */
    back(): void
    end(): void
  }
}

export type View = (state: State, acts: Acts) => readonly Child[]

export const panel = (
  title: string,
  children: readonly Child[],
  extras: Extras & { readonly class?: string } = {},
): Element =>
  element(
    'section',
    { class: `panel ${extras.class ?? ''}`.trimEnd(), 'aria-label': title },
    [element('h2', {}, title), ...children],
    extras,
  )

export const tile = (label: string, value: string, note?: string | undefined): Child =>
  box('tile', [
    element('dt', {}, label),
    element('dd', {}, [element('strong', {}, value), note !== undefined && span('note', note)]),
  ])
export const tiles = (children: readonly Child[]): Child => element('dl', { class: 'tiles' }, children)

/** A state as a word with a mark, whose shape says it too. */
export type Tone = 'ok' | 'warn' | 'bad' | 'quiet'
const marks: Readonly<Record<Tone, Child>> = {
  ok: element('circle', { cx: 5, cy: 5, r: 4 }),
  warn: element('path', { d: 'M5 .8 9.6 9.2H.4Z' }),
  bad: element('path', { d: 'M1.5 1.5l7 7M8.5 1.5l-7 7', class: 'crossed' }),
  quiet: element('circle', { cx: 5, cy: 5, r: 3.2, class: 'ring' }),
}
export const badge = (tone: Tone, text: string): Child =>
  span(`badge ${tone}`, [
    element('svg', { viewBox: '0 0 10 10', class: 'mark', 'aria-hidden': 'true' }, marks[tone]),
    text,
  ])

export interface Column<Row> {
  readonly title: string
  readonly of: (row: Row) => Child | readonly Child[]
  readonly isNumber?: true
  /** Too short to be broken into lines, where the table is one. */
  readonly isWhole?: true
}

/** On a narrow page each row becomes a card: every cell says what it is. */
export function table<Row>(
  caption: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  keyOf: (row: Row) => string,
): Child {
  return element('table', {}, [
    element('caption', {}, caption),
    element(
      'thead',
      {},
      element(
        'tr',
        {},
        columns.map(({ title, isNumber }) => element('th', { scope: 'col', class: isNumber && 'number' }, title)),
      ),
    ),
    element(
      'tbody',
      {},
      rows.map(row =>
        element(
          'tr',
          {},
          columns.map(({ title, of, isNumber, isWhole }) =>
            element(
              'td',
              { 'data-title': title, class: isNumber ? 'number' : isWhole && 'whole' },
              element('span', { class: 'cell' }, of(row)),
            ),
          ),
          { key: keyOf(row) },
        ),
      ),
    ),
  ])
}

export const nothing = (text: string): Child => element('p', { class: 'nothing' }, text)

/** A name that may be long: it is cut where there is no room, and whole in its title. */
export const name = (text: string): Child => element('span', { class: 'name', title: text }, text)
/** Something that a program has named: whole, or a part by which it is recognised. */
export const code = (text: string, shown = text): Child =>
  element('code', { title: text, class: shown !== text && 'short' }, shown)
