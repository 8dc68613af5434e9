import { z } from 'zod'
import { createSignedClaims, type SignedClaims, type SignedClaimsOptions } from '../commands/signed-claims.ts'
import { applicationName, channelName } from './fields.ts'

/*
 * What an application server shows for one channel: a claim with a MAC under the operator's key, so that every server of the
 * operator can check it, and none has to keep it. It says nothing that its bearer may not know. It does not end by itself: the
 * client closes the channel, or has another credential made.
 */

const claims = z.strictObject({
  channel: channelName,
  /** Whose channel it is. */
  identity: z.string().min(1).max(128),
  application: applicationName,
  generation: z.int().min(1),
})
export type ChannelClaims = z.infer<typeof claims>

export type ChannelCredentials = SignedClaims<ChannelClaims>

/** The same claims give the same credential, at every server and at every time, as long as the operator's key is the same. */
export const createChannelCredentials = (
  options: Omit<SignedClaimsOptions<ChannelClaims>, 'purpose' | 'schema'>,
): ChannelCredentials => createSignedClaims({ ...options, purpose: 'cpns-channel-credential-v1', schema: claims })
