import { CommandRefused } from '../federation/command.ts'
import { type HttpAnswer, type HttpFields, RequestCut } from '../ports/http.ts'
import {
  ChecksumMismatch,
  type MediaRecord,
  MediaRefused,
  MediaTooLong,
  UploadIncomplete,
  UploadTakenOver,
} from '../ports/media-store.ts'
import type { UploadTicket } from '../storage/media/media.ts'

/*
 * What is answered to requests for media.
 */

export const partialUpload = 'application/partial-upload'
/** A media is never another one: whoever has it has it for ever. It is one user's, so no cache of others may keep it. */
const forEver = 'private, max-age=31536000, immutable'

export const preflight: HttpAnswer = {
  status: 204,
  fields: {
    'access-control-allow-methods': 'GET, HEAD, PATCH, DELETE',
    'access-control-allow-headers':
      'authorization, content-type, if-none-match, if-range, range, upload-complete, upload-length, upload-offset',
    'access-control-max-age': '7200',
    allow: 'GET, HEAD, PATCH, DELETE, OPTIONS',
    'accept-patch': partialUpload,
  },
}

/** What pages may read of answers. */
export const exposed: HttpFields = {
  'access-control-expose-headers':
    'accept-ranges, content-length, content-range, etag, repr-digest, retry-after, upload-complete, upload-length, upload-limit, upload-offset',
}

/** Media are whatever somebody has sent: no browser may take one for a page of this server, or run what is in it. */
export const aboutMedia = ({ type, hash }: MediaRecord, etag: string): HttpFields => ({
  'content-type': type,
  'accept-ranges': 'bytes',
  'cache-control': forEver,
  etag,
  'repr-digest': `sha-256=:${base64Of(hash)}:`,
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; sandbox",
  'cross-origin-resource-policy': 'cross-origin',
})

export const uploadFields = (offset: number, isComplete: boolean, { size }: UploadTicket): HttpFields => ({
  'upload-offset': String(offset),
  'upload-complete': isComplete ? '?1' : '?0',
  'upload-length': String(size),
  'upload-limit': `max-size=${size}`,
  'cache-control': 'no-store',
})

const base64Of = (base64url: string): string => `${base64url.replaceAll('-', '+').replaceAll('_', '/')}=`

/** Problem details (RFC 9457), with the symbolic cause that commands are refused with. */
export const problem = (status: number, cause: string, detail: string): HttpAnswer => ({
  status,
  fields: { 'content-type': 'application/problem+json', 'cache-control': 'no-store' },
  body: JSON.stringify({ status, cause, detail }),
})

export function busy(status: number, cause: string, detail: string, retryAfterMs = 2_000): HttpAnswer {
  const answer = problem(status, cause, detail)
  return { ...answer, fields: { ...answer.fields, 'retry-after': String(Math.ceil(retryAfterMs / 1_000)) } }
}

/** @throws what is nobody's refusal */
export function refusalOf(error: unknown): HttpAnswer {
  if (error instanceof RequestCut) throw error
  if (error instanceof CommandRefused) {
    const { status, reason, message, retryAfterMs } = error
    return retryAfterMs === undefined ? problem(status, reason, message) : busy(status, reason, message, retryAfterMs)
  }
  if (error instanceof ChecksumMismatch) return problem(422, 'CHECKSUM_MISMATCH', error.message)
  if (error instanceof MediaTooLong) return problem(413, 'TOO_LARGE', error.message)
  if (error instanceof UploadIncomplete) return problem(409, 'UPLOAD_INCOMPLETE', error.message)
  if (error instanceof UploadTakenOver) return problem(409, 'TAKEN_OVER', error.message)
  if (error instanceof MediaRefused)
    return busy(507, 'DISK_FULL', 'The server has no room now. Try again later, or another server.', 60_000)
  throw error
}
