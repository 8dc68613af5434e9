/**
 * Rows of text in columns as wide as need be, under their headings; what there is none of says so in words. Names come from other
 * operators too: what would move a terminal's cursor, or turn the direction of what follows, is shown as a replacement character.
 */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  whenEmpty: string,
): string {
  if (rows.length === 0) return whenEmpty
  const all = [headings.map(heading => heading.toUpperCase()), ...rows.map(row => row.map(harmless))]
  const widths = headings.map((_, column) => Math.max(...all.map(row => (row[column] ?? '').length)))
  return all
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Text that a terminal shows and does not obey. */
export const harmless = (text: string): string => text.replace(unruly, '\ufffd')

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const unruly = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g

/** A day, as people write it everywhere: 2027-11-26. @param ms since 1970 */
export const formatDay = (ms: number): string => new Date(ms).toISOString().slice(0, 10)

/** A moment, to the second: 2027-11-26 14:05:33Z. @param ms since 1970 */
export const formatTime = (ms: number): string =>
  new Date(ms)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')
