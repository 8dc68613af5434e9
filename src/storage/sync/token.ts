import { z } from 'zod'
import { fromBase64url, toBase64url, utf8 } from '../../commands/framing.ts'
import type { Vector } from '../records.ts'

/*
 * A sync token: how far a client has come in a mailbox, as how far each of its writers had come then. It is good at every
 * server that holds the mailbox; it proves nothing, and opens nothing.
 */

export interface SyncToken {
  /** Which life of the mailbox: one that was erased and made anew is another. */
  readonly born: string
  /** When it was given, milliseconds since 1970. */
  readonly issued: number
  readonly reached: Reached
  /** What a server before had told of, and the last one did not know. */
  readonly ahead: Ahead | undefined
}

export interface Ahead {
  /** Milliseconds since 1970. */
  readonly since: number
  readonly vector: Vector
}

/**
 * How far each writer had come: those that have last written before the horizon, as far as they ever came; the others as the
 * vector says. So a token stays small, however many writers there have been.
 */
export interface Reached {
  /** Milliseconds since 1970. */
  readonly horizon: number
  readonly vector: Vector
}

/** Where the pages of one sync go on. */
export interface SyncCursor {
  /** It is of an earlier release, which went through the parts in another order. */
  readonly isOfEarlierOrder: boolean
  readonly born: string
  /** From where the sync began: `undefined` for everything. */
  readonly from: SyncToken | undefined
  /** What the sync brings the client to, once all pages are read. */
  readonly to: Reached
  /** What the pages are of: scope and content, hashed. */
  readonly question: string
  /** The last object that was given, or as long as there are more, the last container. */
  readonly after: { readonly container: string; readonly part: number; readonly id: string } | string
  /** Whether the client was told to begin anew. */
  readonly isReset: boolean
  /** Whether a page before said that the server lags. */
  readonly isLagging: boolean
}

const time = z.int().min(0)
const vector = z.record(z.string().max(16), z.int().min(0))
const reached = { h: time, r: vector }
const ahead = z.object({ s: time, r: vector })
const token = z.object({ v: z.literal(1), b: z.string().max(64), i: time, ...reached, w: ahead.optional() })
const cursor = z.object({
  v: z.union([z.literal(1), z.literal(2)]),
  b: z.string().max(64),
  f: token.optional(),
  t: z.object(reached),
  q: z.string().max(64),
  a: z.union([z.tuple([z.string().max(128), z.int().min(0), z.string().max(64)]), z.string().max(128)]),
  z: z.boolean(),
  l: z.boolean(),
})

const encode = (value: unknown): string => toBase64url(utf8(JSON.stringify(value)))

function decode<T>(text: string, schema: z.ZodType<T>): T | undefined {
  const bytes = fromBase64url(text)
  if (!bytes) return undefined
  try {
    const parsed = schema.safeParse(JSON.parse(new TextDecoder().decode(bytes)))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}

const reachedShape = ({ horizon, vector }: Reached) => ({ h: horizon, r: Object.fromEntries(vector) })
const reachedFrom = ({ h, r }: { readonly h: number; readonly r: Readonly<Record<string, number>> }): Reached => ({
  horizon: h,
  vector: new Map(Object.entries(r)),
})

const tokenShape = ({ born, issued, reached, ahead }: SyncToken): z.infer<typeof token> => ({
  v: 1,
  b: born,
  i: issued,
  ...reachedShape(reached),
  ...(ahead && { w: { s: ahead.since, r: Object.fromEntries(ahead.vector) } }),
})
const tokenFrom = ({ b, i, w, ...reached }: z.infer<typeof token>): SyncToken => ({
  born: b,
  issued: i,
  reached: reachedFrom(reached),
  ahead: w && { since: w.s, vector: new Map(Object.entries(w.r)) },
})

export const encodeToken = (of: SyncToken): string => encode(tokenShape(of))

/** `undefined` if the text is no token of any server. */
export function decodeToken(text: string): SyncToken | undefined {
  const found = decode(text, token)
  return found && tokenFrom(found)
}

export const encodeCursor = ({
  born,
  from,
  to,
  question,
  after,
  isReset,
  isLagging,
}: Omit<SyncCursor, 'isOfEarlierOrder'>): string =>
  encode({
    v: 2,
    b: born,
    ...(from && { f: tokenShape(from) }),
    t: reachedShape(to),
    q: question,
    a: typeof after === 'string' ? after : [after.container, after.part, after.id],
    z: isReset,
    l: isLagging,
  })

export function decodeCursor(text: string): SyncCursor | undefined {
  const found = decode(text, cursor)
  if (!found) return undefined
  return {
    isOfEarlierOrder: found.v === 1,
    born: found.b,
    from: found.f && tokenFrom(found.f),
    to: reachedFrom(found.t),
    question: found.q,
    after: typeof found.a === 'string' ? found.a : { container: found.a[0], part: found.a[1], id: found.a[2] },
    isReset: found.z,
    isLagging: found.l,
  }
}
