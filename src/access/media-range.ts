import type { MediaRange } from '../ports/media-store.ts'

/**
 * What a Range field (RFC 9110 §14.2) asks for of so many bytes. `undefined`: the whole, which is also the answer to units that
 * are unknown, to what is malformed, and to several ranges at once. `unsatisfiable`: nothing of it is there.
 */
export function rangeOf(field: string | undefined, size: number): MediaRange | 'unsatisfiable' | undefined {
  const parts = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/.exec(field ?? '')
  if (!parts) return undefined
  const [, first = '', last = ''] = parts
  if (first === '' && last === '') return undefined
  if (first === '') {
    const length = Math.min(Number(last), size)
    return length === 0 ? 'unsatisfiable' : { from: size - length, to: size }
  }
  const from = Number(first)
  if (last !== '' && Number(last) < from) return undefined
  if (from >= size) return 'unsatisfiable'
  return { from, to: last === '' ? size : Math.min(Number(last) + 1, size) }
}
