import type { Clock } from '../ports/clock.ts'
import type { ServerId } from '../ports/names.ts'
import { type PeerStream, StreamClosed } from '../ports/peer-network.ts'
import type { Random } from '../ports/random.ts'
import { MalformedFrame } from './frame-shape.ts'
import type { Offer, ServerRefusal, Trust } from './trust.ts'
import { decodeGreeting, encodeGreeting, type Greeting, type Hello } from './wire-greeting.ts'
import { maxHelloManifestBytes, maxHelloManifests } from './wire-shapes.ts'

/** Why a peer is refused: a fixed set, fit for a metric's label. */
export type PeerRefusal =
  | ServerRefusal
  /** It knows an older manifest of its operator than is known here; our hello has told it the newer one. */
  | 'manifest-rollback'
  | 'manifest-equivocation'
  /** Its manifests do not prove what it says. */
  | 'manifest-invalid'
  /** No version of the protocol is common. */
  | 'version'
  /** It has misbehaved too much of late. */
  | 'cut-off'
  /** Its operator's servers connect more often than they may. */
  | 'quota-handshakes'

/** How a greeting ended. */
export type Greeted =
  | { readonly ok: true; readonly hello: Hello }
  | { readonly ok: false; readonly by: 'us'; readonly reason: PeerRefusal }
  | { readonly ok: false; readonly by: 'peer'; readonly reason: string }

export interface Greeter {
  /** What this server says of itself, as of now. */
  hello(): Hello
  /** `undefined` accepts. */
  judge(hello: Hello, peer: ServerId): Promise<PeerRefusal | undefined>
}

/** How this server greets: what it knows, and whom it takes. */
export function createGreeter(options: {
  readonly versions: readonly number[]
  readonly trust: Trust
  readonly random: Random
  readonly clock: Clock
}): Greeter {
  const { versions, trust, random, clock } = options
  const run = random.bytes(16)
  return {
    hello: () => ({ versions, operator: trust.operator, manifests: known(trust), run, clock: clock.now() }),
    async judge(hello, peer) {
      if (!hello.versions.some(version => versions.includes(version))) return 'version'
      const offers = await trust.offer(hello.manifests, peer)
      const offered = offers.find(({ operator }) => operator === hello.operator)
      const refused = offered ? refusalOf(offered) : 'manifest-invalid'
      if (refused) return refused
      if (trust.operatorsOf(peer).includes(hello.operator)) return trust.refuse(peer, hello.operator)
      return trust.refuse(peer) ?? 'unknown-server'
    },
  }
}

function refusalOf(offer: Offer): PeerRefusal | undefined {
  if (offer.accepted) return undefined
  switch (offer.reason) {
    case 'rollback':
      return 'manifest-rollback'
    case 'equivocation':
      return 'manifest-equivocation'
    default:
      return 'manifest-invalid'
  }
}

/** Manifests for a hello: the own operator's first, then whole paths of others as long as there is room. */
function known(trust: Trust): readonly Uint8Array[] {
  const others = trust.operators().filter(operator => operator !== trust.operator)
  const told: Uint8Array[] = []
  let bytes = 0
  for (const operator of [trust.operator, ...others]) {
    const path = trust.path(operator)
    bytes += path.reduce((sum, { length }) => sum + length, 0)
    if (bytes > maxHelloManifestBytes || told.length + path.length > maxHelloManifests) return told
    told.push(...path)
  }
  return told
}

/**
 * Greets over a stream of `/cpns/hello/1`: both say hello at once, then each says whether it takes the other.
 * @throws {StreamClosed} when the peer breaks off or takes too long; {@link MalformedFrame}. The stream is reset then.
 */
export async function greet(
  stream: PeerStream,
  { hello, judge }: Greeter,
  { clock, timeoutMs }: { readonly clock: Clock; readonly timeoutMs: number },
): Promise<Greeted> {
  const cancel = clock.after(timeoutMs, () => stream.reset('The greeting takes too long.'))
  try {
    const frames = stream.frames[Symbol.asyncIterator]()
    await stream.send(encodeGreeting({ type: 'hello', hello: hello() }))
    const theirs = await expected(frames, 'hello')
    const refused = await judge(theirs.hello, stream.peer)
    if (refused) {
      await sayRefused(stream, frames, refused)
      return { ok: false, by: 'us', reason: refused }
    }
    await stream.send(encodeGreeting({ type: 'verdict', refused: undefined }))
    const verdict = await expected(frames, 'verdict')
    await stream.close()
    return verdict.refused === undefined
      ? { ok: true, hello: theirs.hello }
      : { ok: false, by: 'peer', reason: verdict.refused }
  } catch (error) {
    stream.reset('The greeting failed.')
    throw error
  } finally {
    cancel()
  }
}

/** Leaves the stream to the peer until it has heard why; whether it listens changes nothing. */
async function sayRefused(stream: PeerStream, frames: AsyncIterator<Uint8Array>, reason: PeerRefusal): Promise<void> {
  try {
    await stream.send(encodeGreeting({ type: 'verdict', refused: reason }))
    await stream.close()
    while (!(await frames.next()).done);
  } catch {
    // It has gone, or takes too long: so be it.
  }
}

async function expected<T extends Greeting['type']>(
  frames: AsyncIterator<Uint8Array>,
  type: T,
): Promise<Extract<Greeting, { type: T }>> {
  const next = await frames.next()
  if (next.done) throw new StreamClosed('The peer broke off the greeting.')
  const greeting = decodeGreeting(next.value)
  if (isOf(greeting, type)) return greeting
  throw new MalformedFrame(`A ${type} was expected, not a ${greeting.type}.`)
}

const isOf = <T extends Greeting['type']>(greeting: Greeting, type: T): greeting is Extract<Greeting, { type: T }> =>
  greeting.type === type
