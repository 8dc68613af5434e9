import { z } from 'zod'
import { spec, time } from '../../commands/fields.ts'
import { mailbox, mediaHash } from '../fields.ts'
import { contentType } from '../objects.ts'

/*
 * Media travel over HTTP, on the port of the websocket; a ticket of this method opens the way.
 */

/** Where media are had and sent: `/v1/media/<operator>/<user>/<hash>`. */
export const mediaPath = '/v1/media/'

const up = z.strictObject({
  ...mailbox,
  direction: z.literal('up'),
  /** SHA-256 of the bytes. */
  hash: mediaHash,
  size: z.int().min(0),
  type: contentType,
})
const down = z.strictObject({
  ...mailbox,
  direction: z.literal('down'),
  /** Left out: all media of the mailbox. */
  hash: mediaHash.optional(),
})

export const mediaTicket = spec({
  method: 'media.ticket',
  summary:
    'Gives a ticket to send one media of a mailbox, or to get them, over HTTP: as `Authorization: Bearer`, or for reading as `?ticket=`.',
  params: z.discriminatedUnion('direction', [up, down]),
  result: z.strictObject({
    ticket: z.string(),
    expires: time,
    /** On any server of this operator; the hash follows if the ticket is not for one. */
    path: z.string(),
  }),
  refusals: [403, 404, 409],
  example: {
    params: {
      operator: 'a.example',
      user: 'u-4711',
      direction: 'up',
      hash: '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU',
      size: 0,
      type: 'image/png',
    },
    result: {
      ticket: 'eyJrZXkiOjF9.5Q8J2zRZ3d0m5y1k9S0hQwz0n9mJt6nB8gW1T6yqk0E',
      expires: 1_790_000_000_000,
      path: '/v1/media/a.example/u-4711/47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU',
    },
  },
})
