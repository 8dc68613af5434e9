import type { Estimate } from './row.ts'
import type { StudyResult } from './study.ts'

/*
 * What a description can ask of a study, and how several runs become one estimate with its confidence interval.
 *
 *   messages, elements, bytes                 sent, all kinds together
 *   messages KIND, elements KIND, bytes KIND  of one kind
 *   end, last-sent                            times, in the unit of the study
 *   count NAME                                what the nodes have counted
 *   mean NAME, max NAME                       of what the nodes have sampled; of each run, and then the mean over the runs
 *   pQ NAME                                   a quantile in per cent (p50, p99.9) of all samples of all runs
 */

export type Measure =
  | { readonly of: 'traffic'; readonly what: 'messages' | 'elements' | 'bytes'; readonly kind: string | undefined }
  | { readonly of: 'time'; readonly what: 'end' | 'last-sent' }
  | { readonly of: 'count'; readonly name: string }
  | { readonly of: 'samples'; readonly what: 'mean' | 'max'; readonly name: string }
  | { readonly of: 'quantile'; readonly share: number; readonly name: string }

const grammar = 'messages|elements|bytes [KIND], end, last-sent, count NAME, mean NAME, max NAME, pQ NAME'

/** @throws {RangeError} for a text that is no measure; the message says what is one. */
export function parseMeasure(text: string): Measure {
  const [verb = '', ...rest] = text.split(' ')
  const name = rest.join(' ')
  if (verb === 'messages' || verb === 'elements' || verb === 'bytes') {
    return { of: 'traffic', what: verb, kind: name || undefined }
  }
  if ((verb === 'end' || verb === 'last-sent') && !name) return { of: 'time', what: verb }
  if (verb === 'count' && name) return { of: 'count', name }
  if ((verb === 'mean' || verb === 'max') && name) return { of: 'samples', what: verb, name }
  const percent = /^p(\d+(?:\.\d+)?)$/.exec(verb)?.[1]
  if (percent && name && Number(percent) <= 100) return { of: 'quantile', share: Number(percent) / 100, name }
  throw new RangeError(`"${text}" is no measure. Measures are: ${grammar}.`)
}

/** 95 % of a normal distribution lie within so many standard deviations. */
const z = 1.96
/** Fewer events than this in all runs together are judged as the rare events that they are. */
const rare = 30

/** @throws {RangeError} when nothing of the kind was measured; the message says what was. */
export function estimate(measure: Measure, results: readonly StudyResult[]): Estimate {
  if (measure.of === 'quantile')
    return quantile(
      results.flatMap(result => samplesOf(result, measure.name)),
      measure.share,
    )
  const values = results.map(result => valueIn(measure, result))
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const total = mean * values.length
  if (measure.of === 'count' && total < rare) return { value: mean, interval: rareInterval(total, values.length) }
  const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1))
  const half = (z * spread) / Math.sqrt(values.length)
  return values.length > 1 ? { value: mean, interval: [mean - half, mean + half] } : { value: mean }
}

function valueIn(measure: Exclude<Measure, { of: 'quantile' }>, result: StudyResult): number {
  const { tally } = result
  switch (measure.of) {
    case 'traffic':
      return (measure.kind === undefined ? tally.total : tally.kinds.get(measure.kind))?.[measure.what] ?? 0
    case 'time':
      return measure.what === 'end' ? result.end : tally.lastSent
    case 'count':
      return tally.counts.get(measure.name) ?? missing(measure.name, tally.counts)
    case 'samples': {
      const samples = samplesOf(result, measure.name)
      const sum = samples.reduce((before, value) => before + value, 0)
      return measure.what === 'mean' ? sum / samples.length : samples.reduce((a, b) => Math.max(a, b))
    }
  }
}

const samplesOf = ({ tally }: StudyResult, name: string): readonly number[] =>
  tally.samples.get(name) ?? missing(name, tally.samples)

function missing(name: string, known: ReadonlyMap<string, unknown>): never {
  throw new RangeError(`No node has told of "${name}". It was told of: ${[...known.keys()].join(', ') || 'nothing'}.`)
}

/**
 * The quantile, and the order statistics between which the true one lies: exact, whatever the distribution. Too few samples
 * beyond it say nothing of how large it could be.
 */
function quantile(samples: readonly number[], share: number): Estimate {
  const sorted = Float64Array.from(samples).sort()
  const last = sorted.length - 1
  const at = (rank: number): number => sorted[Math.min(last, Math.max(0, Math.floor(rank)))] as number
  const middle = sorted.length * share
  const half = z * Math.sqrt(middle * (1 - share))
  const high = middle + half > last ? Number.POSITIVE_INFINITY : at(middle + half)
  return { value: at(middle), interval: [at(middle - half), high] }
}

/** Per run, from so many events in all: the interval of a Poisson rate (Byar's approximation), which is not empty for none. */
function rareInterval(events: number, runs: number): readonly [low: number, high: number] {
  const bound = (count: number, sign: 1 | -1): number =>
    count === 0 ? 0 : count * (1 - 1 / (9 * count) + (sign * z) / (3 * Math.sqrt(count))) ** 3
  return [bound(events, -1) / runs, bound(events + 1, 1) / runs]
}
