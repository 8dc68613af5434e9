/*
 * SVG as text. What is drawn depends on the data alone: coordinates are rounded, and nothing is measured.
 */

/** One line of text that is safe in an element and in an attribute. XML has no place for control characters, escaped or not. */
export const escaped = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Surrogate}\ufffe\uffff]/gu, '\ufffd')
    .replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)

export type Attributes = Readonly<Record<string, string | number | undefined>>

/** Hundredths of a pixel. */
export const rounded = (value: number): number => (Number.isFinite(value) ? Math.round(value * 100) / 100 : 0)

/** An element; `content` is markup already. */
export function element(name: string, attributes: Attributes, ...content: readonly string[]): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? rounded(value) : escaped(value ?? '')}"`)
    .join('')
  return content.length === 0 ? `<${name}${written}/>` : `<${name}${written}>${content.join('')}</${name}>`
}

export const text = (x: number, y: number, words: string, attributes: Attributes = {}): string =>
  element('text', { x, y, ...attributes }, escaped(words))

export const group = (attributes: Attributes, ...content: readonly string[]): string =>
  element('g', attributes, ...(content.length === 0 ? [''] : content))

/** Okabe and Ito's colours, which stay apart for the colour-blind; in grey they differ by their lightness, and lines by their dashes. */
export const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#000000'] as const
export const dashes = ['', '6 3', '2 2', '8 3 2 3', '1 3', '10 4', '4 1'] as const

export const colourOf = (index: number): string => colours[index % colours.length] ?? '#000000'
export const dashOf = (index: number): string | undefined => dashes[index % dashes.length] || undefined
