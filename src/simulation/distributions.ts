import type { RandomStream } from './random-streams.ts'

/**
 * How a duration varies. Parameters as publications print them, in milliseconds: the exponential by its mean, the Pareto
 * by its scale (the least value) and shape (often x_m and α), the lognormal by its median (e^µ) and σ.
 */
export type Distribution =
  | { readonly dist: 'const'; readonly ms: number }
  | { readonly dist: 'uniform'; readonly minMs: number; readonly maxMs: number }
  | { readonly dist: 'exp'; readonly meanMs: number }
  | { readonly dist: 'pareto'; readonly scaleMs: number; readonly shape: number }
  | { readonly dist: 'lognormal'; readonly medianMs: number; readonly sigma: number }
  /** One of the parts, by weight. */
  | { readonly dist: 'mix'; readonly parts: readonly { readonly weight: number; readonly of: Distribution }[] }
  /** All of the parts, one after the other. */
  | { readonly dist: 'sum'; readonly parts: readonly Distribution[] }
  /** One of measured values, each as likely as the others. */
  | { readonly dist: 'samples'; readonly samplesMs: readonly number[] }

export const constant = (ms: number): Distribution => ({ dist: 'const', ms })

/**
 * A duration drawn from the distribution, in whole microseconds, never negative. Rounded, because the last digits of
 * `Math.log` and `Math.pow` are the engine's own.
 */
export function drawUs(distribution: Distribution, random: RandomStream): number {
  return Math.max(0, Math.round(drawMs(distribution, random) * 1000))
}

function drawMs(distribution: Distribution, random: RandomStream): number {
  switch (distribution.dist) {
    case 'const':
      return distribution.ms
    case 'uniform':
      return distribution.minMs + (distribution.maxMs - distribution.minMs) * random.fraction()
    case 'exp':
      return -Math.log(1 - random.fraction()) * distribution.meanMs
    case 'pareto':
      return distribution.scaleMs * (1 - random.fraction()) ** (-1 / distribution.shape)
    case 'lognormal':
      return distribution.medianMs * Math.exp(distribution.sigma * drawNormal(random))
    case 'mix':
      return drawMs(drawPart(distribution.parts, random), random)
    case 'sum':
      return distribution.parts.reduce((sum, part) => sum + drawMs(part, random), 0)
    case 'samples':
      return random.pick(distribution.samplesMs)
  }
}

/** Box and Muller; the second value is thrown away, so that each draw takes two words and no state. */
function drawNormal(random: RandomStream): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.fraction()))
  return radius * Math.cos(2 * Math.PI * random.fraction())
}

type Part = Extract<Distribution, { dist: 'mix' }>['parts'][number]

function drawPart(parts: readonly Part[], random: RandomStream): Distribution {
  let left = random.fraction() * parts.reduce((sum, { weight }) => sum + weight, 0)
  for (const { weight, of } of parts) {
    left -= weight
    if (left < 0) return of
  }
  throw new RangeError('A mix needs parts whose weights are above 0.')
}
