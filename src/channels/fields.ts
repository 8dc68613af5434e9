import { z } from 'zod'
import { segment } from '../commands/fields.ts'

/* What requests of application servers and methods of clients are made of. */

/** An application: by convention a domain name of whoever runs its server. Also one of the places where it is installed. */
export const applicationName = segment
const name = z.string().regex(/^[A-Za-z0-9_-]{22}$/, { error: 'expected 22 characters of base64url' })
export const channelName = name
export const messageName = name

/** RFC 8030 §5.3, from the one that may wait longest. */
export const urgency = z.enum(['very-low', 'low', 'normal', 'high'])
export type Urgency = z.infer<typeof urgency>

/** RFC 8030 §5.4. */
export const topicName = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,32}$/, { error: 'expected 1 to 32 characters of base64url' })

/** A media type without much around it; what it says is the application's own affair. */
export const contentType = z
  .string()
  .max(128)
  .regex(/^[\w.+-]+\/[\w.+-]+(; ?[\w.+-]+=[\w.+-]+)*$/, { error: 'expected a media type, such as application/json' })

/** Of the sender, for one message: sent again, it is the same message. */
export const idempotencyKey = z.string().regex(/^[\x21-\x7e]{1,128}$/, {
  error: 'expected 1 to 128 visible ASCII characters',
})
