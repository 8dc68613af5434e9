/* Numbers, times and names as they are read. Pure: the language of the page is English, its time zone the reader's. */

const clockTime = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' })
const dateAndTime = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' })
const day = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' })
const whole = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 })
const few = new Intl.NumberFormat('en-GB', { maximumSignificantDigits: 2 })

export const timeText = (ms: number): string => clockTime.format(ms)
export const dayText = (ms: number): string => day.format(ms)
export const dateText = (ms: number): string => dateAndTime.format(ms)

/** Two digits that count below ten, whole numbers from there on. */
export const numberText = (value: number): string => (Math.abs(value) < 10 ? few : whole).format(value)
export const countText = (value: number): string => whole.format(value)

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${countText(count)} ${count === 1 ? one : many}`

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

export function bytesText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${numberText(bytes / 1024 ** power)} ${units[power]}`
}

const spans = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const

/** In its two greatest units: `3 d 4 h`, `12 s`. */
export function durationText(ms: number): string {
  let rest = Math.max(0, ms)
  const parts: string[] = []
  for (const [unit, unitMs] of spans) {
    const count = Math.floor(rest / unitMs)
    rest -= count * unitMs
    if (count > 0 || parts.length > 0) parts.push(`${count} ${unit}`)
    if (parts.length === 2) break
  }
  return parts.length === 0
    ? `${Math.round(ms)} ms`
    : parts.filter((part, at) => at === 0 || !part.startsWith('0')).join(' ')
}

/** A long name that is recognised by its end; the whole of it belongs into a title. */
export const shortId = (id: string, chars = 8): string => (id.length <= chars + 1 ? id : `…${id.slice(-chars)}`)
