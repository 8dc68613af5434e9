/** Rows of text in columns as wide as need be, under their headings; what there is none of says so in words. */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  whenEmpty: string,
): string {
  if (rows.length === 0) return whenEmpty
  const all = [headings.map(heading => heading.toUpperCase()), ...rows]
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

/** A day, as people write it everywhere: 2027-11-26. @param ms since 1970 */
export const formatDay = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
