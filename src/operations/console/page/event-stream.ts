/*
 * The data of server-sent events (WHATWG HTML, section 9.2), read from text that comes in pieces: what the platform has for it
 * cannot send a token. Names and numbers of events are not used here.
 */

/** No node sends a longer line: whoever does is not heard further. */
export const maxLineChars = 8_000_000

/** Answers the data of the events that each piece completes, wherever it is cut. @throws {TypeError} at a line without end */
export function eventData(): (piece: string) => string[] {
  let rest = ''
  let data: string[] = []

  function line(text: string): string[] {
    if (text === '') {
      const complete = data.length > 0 ? [data.join('\n')] : []
      data = []
      return complete
    }
    if (text.startsWith('data:')) data.push(text.slice(text[5] === ' ' ? 6 : 5))
    return []
  }

  return piece => {
    const lines = (rest + piece).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > maxLineChars) throw new TypeError('A line of the event stream has no end.')
    return lines.flatMap(line)
  }
}
