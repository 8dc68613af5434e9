import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { refuseLater } from '../ports/stored-format.ts'
import { withFileLock } from './file-lock.ts'
import { exists, FileProblem, jsonOf, readSecret, writeSecret } from './files.ts'

/*
 * The tokens that the admin API is asked with over TCP: a file that holds their SHA-256, so that whoever reads it cannot use them. A
 * token has 256 random bits, which no slow hash need protect. It is read for each request: what is revoked is refused at once.
 */

export const tokenScopes = ['read', 'operate'] as const
export type TokenScope = (typeof tokenScopes)[number]

const tokenRecord = z.strictObject({
  id: z.string(),
  name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, { error: 'expected 1 to 64 of A-Z a-z 0-9 . _ -' }),
  scope: z.enum(tokenScopes),
  hash: z.base64url(),
  /** Milliseconds since 1970. */
  created: z.int(),
  expires: z.int(),
})
const formatVersion = 1
const tokenFile = z.strictObject({ version: z.literal(formatVersion), tokens: z.array(tokenRecord) })

type TokenRecord = z.output<typeof tokenRecord>
/** What is known of a token besides itself. */
export type Token = Omit<TokenRecord, 'hash'>

export interface TokenSource {
  /** The token whose text that is; `undefined` when it is none, or was revoked. @throws {FileProblem} {UnknownFormat} */
  find(text: string): Promise<Token | 'expired' | undefined>
}

const idBytes = 6
const secretBytes = 32
/** `cpns_<id>_<secret>`; the id tells which hash to compare with. Secret scanners find it by its beginning. */
const textPattern = /^cpns_([A-Za-z0-9_-]{8})_[A-Za-z0-9_-]{43}$/

/** @param now milliseconds since 1970 */
export const tokensIn = (path: string, now: () => number): TokenSource => ({
  async find(text) {
    const [, id] = textPattern.exec(text) ?? []
    if (id === undefined) return undefined
    const record = (await recordsIn(path)).find(each => each.id === id)
    if (!record || !timingSafeEqual(hashOf(text), Buffer.from(record.hash, 'base64url'))) return undefined
    return record.expires <= now() ? 'expired' : shown(record)
  },
})

/** Makes a token, and answers its text, which is kept nowhere. @throws {FileProblem} when there is one of this name */
export const createToken = (
  path: string,
  { name, scope, lifetimeMs }: { readonly name: string; readonly scope: TokenScope; readonly lifetimeMs: number },
  now: number,
): Promise<{ readonly text: string; readonly token: Token }> =>
  change(path, records => {
    const standing = records.filter(({ expires }) => expires > now)
    if (standing.some(each => each.name === name)) {
      throw new FileProblem(
        `There is a token ${name} already; choose another name, or revoke it: cpns token revoke ${name}`,
      )
    }
    const id = randomBytes(idBytes).toString('base64url')
    const text = `cpns_${id}_${randomBytes(secretBytes).toString('base64url')}`
    const hashed = hashOf(text).toString('base64url')
    const record = tokenRecord.safeParse({ id, name, scope, hash: hashed, created: now, expires: now + lifetimeMs })
    if (!record.success) throw new FileProblem(`Cannot make a token ${name}: ${record.error.issues[0]?.message}.`)
    return { records: [...standing, record.data], answer: { text, token: shown(record.data) } }
  })

/** @throws {FileProblem} when there is none of this name */
export const revokeToken = (path: string, name: string): Promise<Token> =>
  change(path, records => {
    const revoked = records.find(each => each.name === name)
    if (!revoked) throw new FileProblem(`There is no token ${name}: cpns token list shows those that there are.`)
    return { records: records.filter(each => each !== revoked), answer: shown(revoked) }
  })

/** @throws {FileProblem} {@link UnknownFormat} when a later release wrote the file */
export const listTokens = async (path: string): Promise<readonly Token[]> => (await recordsIn(path)).map(shown)

const shown = ({ hash, ...token }: TokenRecord): Token => token

const hashOf = (text: string): Buffer => hash('sha256', text, 'buffer')

async function recordsIn(path: string): Promise<readonly TokenRecord[]> {
  if (!(await exists(path))) return []
  const file = jsonOf(await readSecret(path))
  refuseLater(path, file, formatVersion)
  const { data } = tokenFile.safeParse(file)
  if (data) return data.tokens
  throw new FileProblem(`${path} holds no tokens. Remove it, and make new ones: cpns token create`)
}

const change = <T>(
  path: string,
  edit: (records: readonly TokenRecord[]) => { readonly records: readonly TokenRecord[]; readonly answer: T },
): Promise<T> =>
  withFileLock(path, 'tokens', async () => {
    const { records, answer } = edit(await recordsIn(path))
    await writeSecret(path, `${JSON.stringify({ version: formatVersion, tokens: records })}\n`)
    return answer
  })
