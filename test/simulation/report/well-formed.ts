/** What is wrong with markup, as XML would have it but for void elements of HTML; `undefined` if nothing is. */
export function flaw(markup: string): string | undefined {
  const open: string[] = []
  const voids = new Set(['meta', 'br'])
  const rest = markup.replace(/<!doctype html>/, '').replace(/<style>[^<]*<\/style>/, '')
  for (const [whole, closing, name = '', attributes = '', selfClosing] of rest.matchAll(
    /<(\/?)([A-Za-z][A-Za-z0-9]*)((?:\s+[A-Za-z:][A-Za-z0-9:-]*="[^"<]*")*)\s*(\/?)>/g,
  )) {
    if (/NaN|Infinity|undefined/.test(attributes)) return `no number in ${whole}`
    if (voids.has(name) || selfClosing) continue
    if (!closing) open.push(name)
    else if (open.pop() !== name) return `${whole} closes nothing`
  }
  if (open.length > 0) return `${open.join(', ')} left open`
  const text = rest.replace(/<\/?[A-Za-z][A-Za-z0-9]*(?:\s+[A-Za-z:][A-Za-z0-9:-]*="[^"<]*")*\s*\/?>/g, '')
  if (/NaN|Infinity|undefined/.test(text)) return 'words that say that a number or a value is missing'
  const stray = /[<>]/.exec(text)
  if (stray) return `a stray ${stray[0]} in ${text.slice(Math.max(0, stray.index - 20), stray.index + 20)}`
  return /&(?!#\d+;)/.test(text) ? 'an ampersand that escapes nothing' : undefined
}
