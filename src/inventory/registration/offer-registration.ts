import type { Random } from '../../ports/random.ts'
import type { Execution } from '../execution.ts'
import type { Procedure } from '../procedure.ts'
import { createChallenges } from './challenges.ts'
import { createPseudonyms } from './pseudonym.ts'
import type { Rates } from './rates.ts'
import { challenging, confirming, type RegistrationOptions, registering } from './registering.ts'
import { deregistering, refreshing } from './upkeep.ts'

/** Everything that PNEs ask for, none of it too often. */
export function offerRegistration(
  offer: <Params, Result>(procedure: Procedure<Params, Result>) => void,
  { flow, query }: Execution,
  given: Omit<RegistrationOptions, 'challenges' | 'pseudonyms'> & { readonly random: Random; readonly rates: Rates },
): void {
  const { self, secrets, crypto, random, limits } = given
  const { limited } = given.rates
  const shared = { macKeys: secrets.macKeys, crypto }
  const options: RegistrationOptions = {
    ...given,
    challenges: createChallenges({ ...shared, random, lifetimeMs: limits.challengeMs }),
    pseudonyms: createPseudonyms(self, crypto.hpke, shared),
  }
  offer(limited(query(challenging(options))))
  offer(limited(flow(registering(options))))
  offer(limited(flow(confirming(options))))
  offer(limited(flow(refreshing(options))))
  offer(limited(flow(deregistering(options))))
}
