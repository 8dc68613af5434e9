import { z } from 'zod'
import type { Vector } from '../records.ts'
import { wordsVersion } from './words.ts'

/** How far a mailbox's index has come. */
export interface Position {
  /** Which life of the mailbox: one that was erased and made anew is another. */
  readonly born: string
  /** When it was in step last, milliseconds since 1970: what was removed is not remembered for ever. */
  readonly at: number
  /** What it has of each writer's changes, all of it. */
  readonly from: Vector
  /** The round under way: a round goes through all parts that had changed when it began. */
  readonly round: Round | undefined
}

const placeInRound = z.object({ container: z.string(), part: z.int(), id: z.string() })
type PlaceInRound = z.infer<typeof placeInRound>
/** Behind every id in the order of ids. */
export const pastAll = '~'

export interface Round {
  /** What the index will have when it is through. */
  readonly to: Vector
  /** Whether this server did not hold something that it was to have. */
  readonly isLagging: boolean
  /** The last object that was looked at, or {@link pastAll} of its part. */
  readonly after: PlaceInRound | undefined
  /** Objects that went in. */
  readonly done: number
}

/** Of the order in which rounds go through parts: see `inOrder`. */
const orderVersion = 2

const vector = z.record(z.string(), z.int().min(0))
const shape = z.object({
  words: z.literal(wordsVersion),
  born: z.string(),
  at: z.number(),
  from: vector,
  round: z
    .object({
      to: vector,
      isLagging: z.boolean(),
      after: placeInRound.optional(),
      done: z.int().min(0),
      order: z.int().optional(),
    })
    .optional(),
})

export const encodePosition = ({ born, at, from, round }: Position): string =>
  JSON.stringify({
    words: wordsVersion,
    born,
    at,
    from: Object.fromEntries(from),
    round: round && { ...round, to: Object.fromEntries(round.to), order: orderVersion },
  })

/** `undefined` for what another release wrote: its index is made anew. */
export function decodePosition(text: string): Position | undefined {
  const parsed = shape.safeParse(json(text))
  if (!parsed.success) return undefined
  const { born, at, from, round } = parsed.data
  return {
    born,
    at,
    from: new Map(Object.entries(from)),
    // A round that another release has begun goes through the parts in another order: it begins anew.
    round: round?.order === orderVersion ? roundFrom(round) : undefined,
  }
}

const roundFrom = ({ to, isLagging, after, done }: NonNullable<z.infer<typeof shape>['round']>): Round => ({
  to: new Map(Object.entries(to)),
  isLagging,
  after,
  done,
})

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Whether `vector` has come as far as `wanted`, for every writer. */
export const covers = (vector: Vector, wanted: Vector): boolean =>
  [...wanted].every(([run, n]) => (vector.get(run) ?? 0) >= n)
