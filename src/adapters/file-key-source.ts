import { stat } from 'node:fs/promises'
import { z } from 'zod'
import type { KeySource, Subscriber } from '../ports/key-source.ts'
import { FileProblem, readSecret, writeSecret } from './files.ts'

const identity = z
  .string()
  .regex(/^[A-Za-z0-9._@+-]{1,128}$/, { error: 'an identity is 1 to 128 of A-Z a-z 0-9 . _ @ + -' })
const key = (isLong: (lengthBytes: number) => boolean, what: string) =>
  z.base64url().refine(text => isLong(Buffer.from(text, 'base64url').length), { error: what })
const psk = key(length => length >= 32, 'a pre-shared key has at least 32 bytes')
const publicKey = key(length => length === 32, 'an Ed25519 public key has 32 bytes')

const fileSchema = z.strictObject({
  version: z.literal(1),
  subscribers: z.array(
    z.discriminatedUnion('kind', [
      z.strictObject({ identity, kind: z.literal('psk'), key: psk }),
      z.strictObject({ identity, kind: z.literal('ed25519'), publicKey }),
    ]),
  ),
})
type SubscriberLine = z.infer<typeof fileSchema>['subscribers'][number]

/**
 * Subscribers in a JSON file of mode 0600. Read again when it has changed, so that `cpns subscriber add` works beside a
 * running server. There are none as long as there never was a file; one that is gone, or cannot be read, is a source that
 * cannot be reached.
 */
export function fileKeySource(path: string): KeySource {
  let loaded: { readonly changedMs: number; readonly byIdentity: Promise<Map<string, Subscriber>> } | undefined

  async function current(): Promise<Map<string, Subscriber>> {
    if (!loaded && !(await isThere(path))) return new Map()
    // Changes of the mode count too. That there is no such file any more is said by reading it.
    const { ctimeMs } = await stat(path).catch(() => ({ ctimeMs: Number.NaN }))
    if (loaded?.changedMs === ctimeMs) return loaded.byIdentity
    const byIdentity = read(path)
    loaded = { changedMs: ctimeMs, byIdentity }
    byIdentity.catch(() => {
      loaded = { changedMs: Number.NaN, byIdentity } // equals nothing: it is read again when somebody asks again
    })
    return byIdentity
  }

  return { find: async identity => (await current()).get(identity) }
}

/** Whether reading it can do anything but find nothing. */
const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    (error: unknown) => !(error instanceof Error && 'code' in error && error.code === 'ENOENT'),
  )

/** Adds a subscriber. @throws {FileProblem} when the identity is taken or malformed. */
export async function addSubscriber(path: string, subscriber: Subscriber): Promise<void> {
  const subscribers = (await isThere(path)) ? [...(await read(path)).values()] : []
  if (subscribers.some(other => other.identity === subscriber.identity)) {
    throw new FileProblem(`${path} has a subscriber ${subscriber.identity} already; choose another identity.`)
  }
  const file = fileSchema.safeParse({ version: 1, subscribers: [...subscribers, subscriber].map(lineOf) })
  if (!file.success) throw new FileProblem(`Cannot add ${subscriber.identity}: ${file.error.issues[0]?.message}.`)
  await writeSecret(path, `${JSON.stringify(file.data, undefined, 2)}\n`)
}

async function read(path: string): Promise<Map<string, Subscriber>> {
  const file = fileSchema.safeParse(parseJson(path, await readSecret(path)))
  if (!file.success) {
    const [issue] = file.error.issues
    throw new FileProblem(`${path}: ${issue?.path.join('.')}: ${issue?.message}.`)
  }
  return new Map(file.data.subscribers.map(line => [line.identity, subscriberOf(line)]))
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new FileProblem(`${path} is not JSON; restore it from a backup.`)
  }
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'))
const text = (raw: Uint8Array) => Buffer.from(raw).toString('base64url')

function subscriberOf(line: SubscriberLine): Subscriber {
  switch (line.kind) {
    case 'psk':
      return { identity: line.identity, credential: { kind: 'psk', key: bytes(line.key) } }
    case 'ed25519':
      return { identity: line.identity, credential: { kind: 'ed25519', publicKey: bytes(line.publicKey) } }
  }
}

function lineOf({ identity, credential }: Subscriber): SubscriberLine {
  switch (credential.kind) {
    case 'psk':
      return { identity, kind: 'psk', key: text(credential.key) }
    case 'ed25519':
      return { identity, kind: 'ed25519', publicKey: text(credential.publicKey) }
  }
}
