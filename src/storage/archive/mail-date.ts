/*
 * Dates of mail. No clock is read here: each is given.
 */

/** Whatever can be said with a year of four digits. */
const latestMs = 253_402_300_799_000

// biome-ignore lint/style/noRestrictedGlobals: it formats the time that it is given
const utc = (ms: number): string => new Date(Math.min(ms, latestMs)).toUTCString()

/** RFC 5322 §3.3, in UTC. */
export const mailDate = (ms: number): string => utc(ms).replace('GMT', '+0000')

/** As the line that begins a message in an mbox has it: `Thu Nov 26 16:30:00 2026`. */
export function mboxDate(ms: number): string {
  const [weekday = '', day = '', month = '', year = '', time = ''] = utc(ms).split(' ')
  return `${weekday.replace(',', '')} ${month} ${day} ${time} ${year}`
}

/** As file names have it, in order: `2026-11-26T16-30-00`. */
export const fileDate = (ms: number): string =>
  // biome-ignore lint/style/noRestrictedGlobals: it formats the time that it is given
  new Date(Math.min(ms, latestMs)).toISOString().slice(0, 19).replaceAll(':', '-')

/** Milliseconds since 1970; `undefined` if it says no time since then. */
export function readMailDate(text: string | undefined): number | undefined {
  // biome-ignore lint/style/noRestrictedGlobals: it reads the time that it is given
  const ms = Date.parse((text ?? '').replace(/\([^)]*\)/g, ''))
  return ms >= 0 && ms <= latestMs ? ms : undefined
}
