/*
 * What is to be shown, as data. A tree is made anew whenever something has changed.
 *
 * Text is only ever text: there is no way to put markup into a tree. Links lead to places within the page alone, and programs
 * come as functions, never as attributes. So names that others have chosen can do nothing but be read.
 */

export type Child = Element | string | undefined | false

type EventName = 'click' | 'input' | 'change' | 'submit' | 'cancel'
export type Handlers = Readonly<Partial<Record<EventName, (event: Event) => void>>>

export interface Attributes {
  /** Of HTML and SVG, by their names; `true` for those without a value, `undefined` and `false` for none. */
  readonly [name: string]: string | number | boolean | undefined
}

export interface Extras {
  readonly on?: Handlers
  /** Positions that follow from data. */
  readonly style?: Readonly<Record<string, string>>
  /** Which element it is, where others may come in front of it. */
  readonly key?: string
}

export interface Element extends Extras {
  readonly tag: string
  readonly attributes: Attributes
  readonly children: readonly (Element | string)[]
}

const html =
  'a article b button caption code dd details dialog div dl dt figcaption figure footer form h1 h2 h3 header input label li main ' +
  'meter nav ol p section small span strong summary table tbody td textarea th thead tr ul'
const svg = 'svg g path line circle rect text'
const drawn: ReadonlySet<string> = new Set(svg.split(' '))
const known: ReadonlySet<string> = new Set([...html.split(' '), ...drawn])

/** Whether a tag is of SVG. */
export const isDrawn = (tag: string): boolean => drawn.has(tag)

/** Attributes that run something, load something or lead elsewhere. */
const banned = /^(on|style$|src|xlink|formaction|action$)/i

/** @throws {TypeError} for what may not stand in the page: a mistake in its program */
export function element(
  tag: string,
  attributes: Attributes = {},
  children: readonly Child[] | Child = [],
  extras: Extras = {},
): Element {
  if (!known.has(tag)) throw new TypeError(`The page has no <${tag}>.`)
  for (const [name, value] of Object.entries(attributes)) {
    if (banned.test(name)) throw new TypeError(`The page has no attribute ${name}.`)
    if (name === 'href' && !`${value}`.startsWith('#')) throw new TypeError('Links lead to places within the page.')
  }
  const all = Array.isArray(children) ? children : [children]
  return { tag, attributes, children: all.filter(isShown), ...extras }
}

const isShown = (child: Child): child is Element | string => child !== undefined && child !== false && child !== ''

/** An element with a class, which most have. */
export const box = (name: string, children: readonly Child[] | Child = [], extras: Extras = {}): Element =>
  element('div', { class: name }, children, extras)
export const span = (name: string, children: readonly Child[] | Child = []): Element =>
  element('span', { class: name }, children)

/** All text of a tree, as it would be read. */
export const textOf = (child: Element | string): string =>
  typeof child === 'string' ? child : child.children.map(textOf).join(' ')
