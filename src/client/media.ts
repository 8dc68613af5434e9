import { toBase64url } from '../commands/framing.ts'
import { ConnectFailed } from '../ports/client-sockets.ts'
import type { Clock } from '../ports/clock.ts'
import type { ClientCrypto } from '../ports/crypto.ts'
import type { HttpClient, HttpReceived, StreamingHash } from '../ports/http-client.ts'
import type { OperatorId } from '../ports/names.ts'
import { MediaDamaged, RequestRefused } from './errors.ts'
import { MediaWay } from './media-way.ts'
import type { Session } from './session.ts'

/*
 * Media of mailboxes, sent and received in pieces over HTTP: what was cut is gone on with from where it was, at whichever server
 * the session is then, and both ends hold the bytes against their hash.
 */

export interface MediaPorts {
  readonly http: HttpClient
  readonly sha256: () => StreamingHash
  readonly clock: Clock
  readonly crypto: Pick<ClientCrypto, 'randomBytes'>
}

/** What an object says of a media. */
export interface MediaReference {
  /** SHA-256, base64url. */
  readonly hash: string
  /** Bytes. */
  readonly size: number
  readonly type: string
}

export interface MediaTransfer {
  /** Of the mailbox. */
  readonly operator: OperatorId
  readonly user: string
  /** Gives up. */
  readonly signal?: AbortSignal
  /** Bytes that have arrived, of all of them. */
  readonly progress?: (bytes: number, size: number) => void
  /** How often in a row it may fail without having come any further. Default: 8. */
  readonly attempts?: number
}

export interface MediaUploadOptions extends MediaTransfer {
  /** A file of a page, `openAsBlob(path)` in Node, or bytes: it is read in pieces. */
  readonly data: Blob | Uint8Array<ArrayBuffer>
  /** Media type, such as `image/png`. */
  readonly type: string
}

export interface MediaDownloadOptions extends MediaTransfer {
  readonly hash: string
  /** A part: from this byte on, and up to before that one. The hash of the whole says nothing of it: the server verifies it. */
  readonly from?: number
  readonly to?: number
}

const pieceBytes = 1024 * 1024

/**
 * Sends a media. Resolves when the server has it, durably, and has found its hash right: an object may refer to it then.
 * @throws {RequestRefused} {@link MediaDamaged} when it changed while it was sent; {@link ConnectFailed} after the last attempt
 */
export async function uploadMedia(
  session: Session,
  ports: MediaPorts,
  options: MediaUploadOptions,
): Promise<MediaReference> {
  const { operator, user, type, progress = () => {} } = options
  const data = options.data instanceof Blob ? options.data : new Blob([options.data])
  const { size } = data
  const hash = await hashOf(data, ports)
  const way = new MediaWay(session, ports, options, { operator, user, direction: 'up', hash, size, type })
  let hasBegunAgain = false

  /** How far the server is; `undefined`: it has all. */
  async function held(): Promise<number | undefined> {
    const { fields } = await way.ask('HEAD', {})
    return fields['upload-complete'] === '?1' ? undefined : Number(fields['upload-offset'])
  }

  /** Sends what comes next. Answers how far the server is then. */
  async function send(at: number): Promise<number | undefined> {
    const end = Math.min(size, at + pieceBytes)
    const fields = {
      'content-type': 'application/partial-upload',
      'upload-offset': String(at),
      'upload-complete': end === size ? '?1' : '?0',
      'upload-length': String(size),
    }
    try {
      const { status } = await way.ask('PATCH', fields, await bytesOf(data, at, end))
      return status === 201 ? undefined : end
    } catch (error) {
      if (!(error instanceof RequestRefused)) throw error
      if (error.status === 409 && isElsewhere.has(error.reason)) return held()
      if (error.status !== 422) throw error
      // Part of it may have been damaged on the server's disk, by a power cut: not twice.
      if (hasBegunAgain) throw new MediaDamaged('The bytes changed while they were sent.', { cause: error })
      hasBegunAgain = true
      return 0
    }
  }

  let at = await way.step(0, held)
  while (at !== undefined) {
    progress(at, size)
    const from: number = at
    // After a failure nobody knows how much has arrived.
    at = await way.step(from, () => send(from), held)
  }
  progress(size, size)
  return { hash, size, type }
}

/** The upload is not where it was thought to be. */
const isElsewhere = new Set(['OFFSET_MISMATCH', 'TAKEN_OVER', 'UPLOAD_INCOMPLETE'])

/**
 * Receives a media, or a part of one, as it comes. When it ends without an error the whole has the hash that it is called by:
 * until then what came is not to be trusted.
 * @throws {RequestRefused} {@link MediaDamaged} {@link ConnectFailed} after the last attempt
 */
export async function* downloadMedia(
  session: Session,
  ports: MediaPorts,
  options: MediaDownloadOptions,
): AsyncGenerator<Uint8Array> {
  const { operator, user, hash, from = 0, to, progress = () => {} } = options
  const way = new MediaWay(session, ports, options, { operator, user, direction: 'down', hash })
  const sum = ports.sha256()
  let at = from
  let end = to

  do {
    const range = `bytes=${at}-${end === undefined ? '' : end - 1}`
    // Of no bytes no range can be asked for, and it is not known yet how many there are.
    const answer = await way.step(at, () => way.open('GET', at === 0 && end === undefined ? {} : { range }))
    end = Math.min(to ?? Number.POSITIVE_INFINITY, sizeOf(answer))
    if (answer.status === 200 && at > 0) throw new MediaDamaged('The whole was sent where a part was asked for.')
    try {
      for await (const bytes of answer.body) {
        at += bytes.length
        if (at > end) throw new MediaDamaged('More came than there should be.')
        sum.update(bytes)
        progress(at - from, end - from)
        yield bytes
      }
    } catch (error) {
      if (!(error instanceof ConnectFailed)) throw error
      await way.failed(at, error)
    }
  } while (at < end)
  if (from === 0 && to === undefined && toBase64url(sum.digest()) !== hash)
    throw new MediaDamaged(`What came does not have the hash ${hash}: throw it away.`)
}

function sizeOf({ status, fields }: HttpReceived): number {
  const size = status === 206 ? fields['content-range']?.split('/')[1] : fields['content-length']
  if (size === undefined || !/^\d{1,15}$/.test(size))
    throw new MediaDamaged('The server does not say how much there is.')
  return Number(size)
}

async function hashOf(data: Blob, { sha256 }: MediaPorts): Promise<string> {
  const hash = sha256()
  for (let at = 0; at < data.size; at += pieceBytes) hash.update(await bytesOf(data, at, at + pieceBytes))
  return toBase64url(hash.digest())
}

const bytesOf = async (data: Blob, from: number, to: number): Promise<Uint8Array> =>
  new Uint8Array(await data.slice(from, to).arrayBuffer())
