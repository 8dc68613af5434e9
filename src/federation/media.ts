import type { Clock } from '../ports/clock.ts'
import type { MediaFacts, MediaName } from '../ports/media-store.ts'
import type { ServerId } from '../ports/names.ts'
import type { PeerNetwork, PeerStream } from '../ports/peer-network.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { CommandRefused } from './command.ts'
import type { Forwarder, FoundMedia, MediaSource } from './federation.ts'
import { MalformedFrame } from './frame-shape.ts'
import { decodeMedia, encodeMedia, type MediaFrame, maxMediaChunkBytes } from './media-wire.ts'

/*
 * Media between servers: one stream for each, one side asks, the other sends. Who reads slowly holds up the sender, and who
 * does nothing for a while is given up.
 */

export const mediaProtocol = '/cpns/media/1'

export interface MediaLimits {
  /** For how long nothing may come or be taken. */
  readonly idleMs: number
  /** Media that are sent to one peer at once; more are refused. */
  readonly maxPerPeer: number
}

export const defaultMediaLimits: MediaLimits = { idleMs: 20_000, maxPerPeer: 16 }

interface Surroundings {
  readonly clock: Clock
  readonly limits: MediaLimits
}

/** A stream on which each step has its time; after that it is reset, which ends the step. */
function watched(stream: PeerStream, { clock, limits }: Surroundings) {
  const frames = stream.frames[Symbol.asyncIterator]()
  async function inTime<T>(step: Promise<T>): Promise<T> {
    const cancel = clock.after(limits.idleMs, () => stream.reset('Nothing happened for too long.'))
    try {
      return await step
    } finally {
      cancel()
    }
  }
  return {
    send: (frame: MediaFrame) => inTime(stream.send(encodeMedia(frame))),
    /** `undefined` at the end. @throws {MalformedFrame} {@link StreamClosed} */
    async next(): Promise<MediaFrame | undefined> {
      const next = await inTime(frames.next())
      return next.done ? undefined : decodeMedia(next.value)
    },
  }
}

/**
 * Asks one server for a media, and hands it to `take`, if it has it and gives it.
 * @returns whether it does
 * @throws what `take` throws; {@link StreamClosed}, {@link PeerUnreachable}, {@link MalformedFrame} when it breaks off
 */
export async function fetchMedia(
  peer: ServerId,
  name: MediaName,
  take: (found: FoundMedia) => Promise<void>,
  around: Surroundings & { readonly network: PeerNetwork },
): Promise<boolean> {
  const stream = await around.network.open(peer, mediaProtocol)
  const { send, next } = watched(stream, around)

  async function* bytes({ size }: MediaFacts, from: number): AsyncGenerator<Uint8Array> {
    await send({ type: 'from', from })
    let at = from
    for (let frame = await next(); frame; frame = await next()) {
      if (frame.type !== 'chunk') throw new MalformedFrame(`After "from" come chunks, not "${frame.type}".`)
      at += frame.chunk.length
      yield frame.chunk
    }
    if (at < size) throw new MalformedFrame('The media ended before its end.')
  }

  try {
    await send({ type: 'wanted', name })
    const answer = await next()
    if (answer?.type === 'refusal') return false
    if (answer?.type !== 'found') throw new MalformedFrame('Neither the media nor a refusal came.')
    const { facts } = answer
    await take({ ...facts, bytes: from => bytes(facts, from) })
    await stream.close()
    return true
  } catch (error) {
    stream.reset('The media is not taken any further.')
    throw error
  }
}

export interface MediaServer {
  /** Answers the one who opened the stream. Never throws. */
  serve(stream: PeerStream, from: Forwarder): Promise<void>
}

/** Sends media to peers, as far as `source` lets them have it. */
export function createMediaServer(
  options: Surroundings & { readonly source: () => MediaSource | undefined; readonly telemetry: Telemetry },
): MediaServer {
  const { source, limits, telemetry } = options
  const running = new Map<ServerId, number>()

  async function answer(stream: PeerStream, from: Forwarder): Promise<void> {
    const { send, next } = watched(stream, options)
    const first = await next()
    if (first?.type !== 'wanted') throw new MalformedFrame('A media is to be named first.')
    const found = await source()?.(first.name, from)
    if (!found) throw new CommandRefused(404, 'There is no such media here.')
    await send({ type: 'found', facts: { size: found.size, type: found.type } })
    const start = await next()
    // Who has heard what it is may not want it.
    if (!start) return
    if (start.type !== 'from' || start.from > found.size) throw new MalformedFrame('Where to begin is to be said.')
    for await (const bytes of found.bytes(start.from)) {
      for (let at = 0; at < bytes.length; at += maxMediaChunkBytes) {
        await send({ type: 'chunk', chunk: bytes.subarray(at, at + maxMediaChunkBytes) })
      }
      telemetry.count('cpns_media_served_bytes_total', {}, bytes.length)
    }
  }

  async function refuse(stream: PeerStream, error: CommandRefused): Promise<void> {
    const { send } = watched(stream, options)
    await send({ type: 'refusal', status: error.status, cause: error.reason, message: error.message })
  }

  return {
    async serve(stream, from) {
      const count = running.get(from.server) ?? 0
      running.set(from.server, count + 1)
      try {
        if (count >= limits.maxPerPeer) await refuse(stream, new CommandRefused(503, 'Too many media are under way.'))
        else
          await answer(stream, from).catch(error => {
            if (error instanceof CommandRefused) return refuse(stream, error)
            throw error
          })
        await stream.close()
      } catch (error) {
        telemetry.log('info', 'media.broken', { peer: from.server, message: String(error) })
        stream.reset('The media broke off.')
      } finally {
        const left = (running.get(from.server) ?? 1) - 1
        if (left > 0) running.set(from.server, left)
        else running.delete(from.server)
      }
    },
  }
}
