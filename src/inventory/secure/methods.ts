import { z } from 'zod'
import { bytes, commandId, segment, spec, time } from '../../commands/fields.ts'
import type { NotificationSpec } from '../../federation/command.ts'
import { network, way } from '../fields.ts'

/* The secure session of a registered PNE with its operator, through a gateway; see `keys.ts` for what is sealed in it. */

const bytes32 = z.base64url().length(43)
/** Where the session is, and 128 random bits. */
const session = z.string().regex(/^[1-9A-HJ-NP-Za-km-z]{40,64}\.[A-Za-z0-9_-]{22}$/, {
  error: 'expected a session as secure.open names it',
})
/** So many frames no session has: exact as a number, and below what a nonce holds. */
const count = z
  .int()
  .min(0)
  .max(2 ** 48)
const phase = z
  .int()
  .min(0)
  .max(2 ** 31)

/** Bytes of a frame to the server: far more than any command takes. */
const maxFrameBytes = 64 * 1024
/** Characters of a sealed answer: what servers send each other in one frame, with room for what is around it. */
export const maxSealedAnswer = 500 * 1024

export const secureOpen = spec({
  method: 'secure.open',
  summary:
    'Opens a secure session of a registered PNE with its operator, by its ticket; both prove that they hold the session key.',
  params: z.strictObject({
    ...way,
    transaction: commandId,
    pneId: segment,
    /** As the answer to the registration gave it. */
    ticket: bytes(96),
    clientNonce: bytes32,
    proof: bytes32,
  }),
  result: z.strictObject({
    session,
    serverNonce: bytes32,
    /** Until when the registration holds that the session rests on. */
    expires: time,
    proof: bytes32,
  }),
  refusals: [401, 403, 404, 409, 410, 423, 429, 504],
  example: {
    params: {
      home: 'a.example',
      pnId: 'flat',
      gatewayId: 'box-1',
      operator: 'b.example',
      transaction: 'AAECAwQFBgcICQoLDA0ODw',
      pneId: 'radio',
      ticket: 'AAAAAdKuBzqjVnYcX0o0sHcVb2Y3ZxTQ5mNq8Jw1',
      clientNonce: 'pjCPZS5FkCSUzq1TYQyGPgSqdAKQdUHCaQfKsHbpUmE',
      proof: 'fzWkjoOAbXhIUMSc4vHYUVVqBtKHs3NHb3HbOUMdQ2s',
    },
    result: {
      session: '12D3KooWGzBSwc5hTGUTLmXDVRxVvJnYNH2MPmJrsmvAd8oDeZzk.PZpz4vYNRC2nBcTX9hfHIA',
      serverNonce: 'Zdm0Zcx5sA3eRLf1KChzoJ0WwB2nUexIEoYvU3BYEFc',
      expires: 1_767_312_000_000,
      proof: 'p0H0lIY3qUKf8V4UvMVJ0rDvzsD-P1oVXAgMAF0dK3M',
    },
  },
})

export const secureSend = spec({
  method: 'secure.send',
  summary:
    'Carries one sealed request of a PNE to its operator, and the sealed answer back. The same frame again gets the same answer.',
  params: z.strictObject({
    ...way,
    session,
    /** Which keys: rises by one with every change of keys. */
    phase,
    /** Rises by one with every request; names the request in its answer. */
    counter: count,
    sealed: bytes(maxFrameBytes),
  }),
  result: z.strictObject({ sealed: z.base64url().max(maxSealedAnswer) }),
  refusals: [401, 403, 404, 409, 410, 423, 429, 504],
  example: {
    params: {
      home: 'a.example',
      pnId: 'flat',
      gatewayId: 'box-1',
      operator: 'b.example',
      session: '12D3KooWGzBSwc5hTGUTLmXDVRxVvJnYNH2MPmJrsmvAd8oDeZzk.PZpz4vYNRC2nBcTX9hfHIA',
      phase: 0,
      counter: 7,
      sealed: 'r0mhbhZXaC7ZyfBkdZX5pPcQgMZ1sQ',
    },
    result: { sealed: 'nW0q6S2u0iYb7c5cFvjGg1n5nFJ8kQ' },
  },
})

const notice = z.strictObject({ number: count.min(1), method: z.string(), params: z.unknown() })

/** Only inside of a secure session: it has no meaning outside. */
export const secureNotices = spec({
  method: 'secure.notices',
  summary: 'Inside a secure session: the notices for the PNE since it opened the session, after a number.',
  params: z.strictObject({ after: count }),
  result: z.strictObject({
    notices: z.array(notice),
    /** Whether some after that number are no longer kept. */
    missed: z.boolean(),
  }),
  refusals: [],
  example: {
    params: { after: 3 },
    result: {
      notices: [{ number: 4, method: 'invitation.arrived', params: { home: 'a.example', pnId: 'flat' } }],
      missed: false,
    },
  },
})

export const secureNotice = {
  method: 'secure.notice',
  summary: 'A sealed notice for a PNE, to the gateway through which the PNE has its secure session: to be passed on.',
  params: z.strictObject({ ...network, session, phase, number: count.min(1), sealed: bytes(8192) }),
  example: {
    home: 'a.example',
    pnId: 'flat',
    session: '12D3KooWGzBSwc5hTGUTLmXDVRxVvJnYNH2MPmJrsmvAd8oDeZzk.PZpz4vYNRC2nBcTX9hfHIA',
    phase: 0,
    number: 4,
    sealed: 'nW0q6S2u0iYb7c5cFvjGg1n5nFJ8kQ',
  },
} as const satisfies NotificationSpec<unknown>

export type SecureOpenParams = z.infer<typeof secureOpen.params>
export type SecureOpenResult = z.infer<typeof secureOpen.result>
export type SecureSendParams = z.infer<typeof secureSend.params>
export type SecureSendResult = z.infer<typeof secureSend.result>
export type SecureNoticesParams = z.infer<typeof secureNotices.params>
export type SecureNoticesResult = z.infer<typeof secureNotices.result>
export type SecureNoticeParams = z.infer<typeof secureNotice.params>
export type SecureNotice = z.infer<typeof notice>

export const secureMethods = [secureOpen, secureSend] as const
