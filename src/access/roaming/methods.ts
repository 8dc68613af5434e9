import { z } from 'zod'
import { operator, spec, time } from '../../commands/fields.ts'

/* How a client gets what it needs to be a guest at another operator. */

const publicKey = z.string().regex(/^[A-Za-z0-9_-]{43}$/, { error: 'expected an Ed25519 public key in base64url' })

export const roamingCertify = spec({
  method: 'roaming.certify',
  summary:
    'A certificate for a key of this client, with which it proves at servers of other operators whose subscriber it is, where its own operator sends it.',
  params: z.strictObject({ publicKey }),
  result: z.strictObject({ certificate: z.string(), operator, expires: time }),
  refusals: [403],
  example: {
    params: { publicKey: 'A'.repeat(43) },
    result: { certificate: 'eyJpZGVudGl0eSI6ImFsaWNlIn0.c2lnbmVk', operator: 'a.example', expires: 1_767_312_000_000 },
  },
})
