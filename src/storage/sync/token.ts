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
  readonly vector: Vector
}

/** Where the pages of one sync go on. */
export interface SyncCursor {
  readonly born: string
  /** From where the sync began: `undefined` for everything. */
  readonly from: SyncToken | undefined
  /** What the sync brings the client to, once all pages are read. */
  readonly to: Vector
  /** What the pages are of: scope and content, hashed. */
  readonly question: string
  /** The last object that was given. */
  readonly after: { readonly container: string; readonly part: number; readonly id: string }
  /** Whether the client was told to begin anew. */
  readonly isReset: boolean
  /** Whether a page before said that the server lags. */
  readonly isLagging: boolean
}

const vector = z.record(z.string().max(16), z.int().min(0))
const token = z.object({ v: z.literal(1), b: z.string().max(64), i: z.int().min(0), r: vector })
const cursor = z.object({
  v: z.literal(1),
  b: z.string().max(64),
  f: token.optional(),
  t: vector,
  q: z.string().max(64),
  a: z.tuple([z.string().max(128), z.int().min(0), z.string().max(64)]),
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

const asRecord = (vector: Vector) => Object.fromEntries(vector)
const asVector = (record: Readonly<Record<string, number>>): Vector => new Map(Object.entries(record))

const tokenShape = ({ born, issued, vector }: SyncToken): z.infer<typeof token> => ({
  v: 1,
  b: born,
  i: issued,
  r: asRecord(vector),
})
const tokenFrom = ({ b, i, r }: z.infer<typeof token>): SyncToken => ({ born: b, issued: i, vector: asVector(r) })

export const encodeToken = (of: SyncToken): string => encode(tokenShape(of))

/** `undefined` if the text is no token of any server. */
export function decodeToken(text: string): SyncToken | undefined {
  const found = decode(text, token)
  return found && tokenFrom(found)
}

export const encodeCursor = ({ born, from, to, question, after, isReset, isLagging }: SyncCursor): string =>
  encode({
    v: 1,
    b: born,
    ...(from && { f: tokenShape(from) }),
    t: asRecord(to),
    q: question,
    a: [after.container, after.part, after.id],
    z: isReset,
    l: isLagging,
  })

export function decodeCursor(text: string): SyncCursor | undefined {
  const found = decode(text, cursor)
  if (!found) return undefined
  const [container, part, id] = found.a
  return {
    born: found.b,
    from: found.f && tokenFrom(found.f),
    to: asVector(found.t),
    question: found.q,
    after: { container, part, id },
    isReset: found.z,
    isLagging: found.l,
  }
}
