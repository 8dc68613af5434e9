import type { Quota, QuotaSettings } from '../federation/quotas.ts'
import type { ChangeableLimits, NodeLimits } from '../node/surroundings.ts'
import { operatorId } from '../ports/names.ts'
import type { Configuration } from './configuration-schema.ts'

/* What of a configuration is for the node itself, as it takes it. */

export const limitsOf = (configuration: Configuration): NodeLimits & ChangeableLimits => ({
  ...changeableLimitsOf(configuration),
  load: { isControlled: configuration.load.controlled },
  access: {
    framesPerSecond: configuration.clients.framesOfSession,
    framesPerSecondOfOne: configuration.clients.framesOfOne,
  },
})

/** Those that can be changed while it runs. */
export const changeableLimitsOf = (configuration: Configuration): ChangeableLimits => ({
  quota: quotaOf(configuration),
  scrub: configuration.scrub,
  storage: {
    devices: configuration.storage.devices,
    notifications: configuration.storage.notifications,
    maxMediaBytes: configuration.media.maxBytes,
    mediaTypes: configuration.media.types,
  },
})

function quotaOf({ peers: { quota, quotas } }: Configuration): QuotaSettings {
  const byOperator = new Map(Object.entries(quotas).map(([of, each]) => [operatorId(of), said(each)]))
  return { all: said(quota), byOperator }
}

/** Without what is left out. */
const said = (quota: Configuration['peers']['quota']): Partial<Quota> =>
  Object.fromEntries(Object.entries(quota).filter(([, value]) => value !== undefined))
