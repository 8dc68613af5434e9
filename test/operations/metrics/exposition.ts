/** What the text format of Prometheus says. @throws when a line is none of it */
export function readExposition(text: string) {
  const kinds = new Map<string, string>()
  const samples: {
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
    readonly value: number
  }[] = []
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ')) continue
    const [, typed, kind] = /^# TYPE (\w+) (counter|gauge|histogram)$/.exec(line) ?? []
    if (typed !== undefined && kind !== undefined) {
      kinds.set(typed, kind)
      continue
    }
    const [, name, inside = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (name === undefined) throw new Error(`This is no line of an exposition: ${line}`)
    const pairs = [...inside.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', said = '']) => [label, said])
    samples.push({
      name,
      labels: Object.fromEntries(pairs),
      value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value),
    })
  }
  /** The sample of this name with these labels, if there is one. */
  const value = (name: string, labels: Readonly<Record<string, string>> = {}): number | undefined =>
    samples.find(
      sample => sample.name === name && Object.entries(labels).every(([label, said]) => sample.labels[label] === said),
    )?.value
  return { kinds, samples, value }
}
