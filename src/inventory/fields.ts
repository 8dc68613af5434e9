import { z } from 'zod'
import { operator, segment } from '../commands/fields.ts'

/*
 * What the parameters and results of the methods of Personal Networks are made of, beyond what all methods share.
 */

export const network = { home: operator, pnId: segment }
/** The way of a PNE to its operator: in which PN, through which gateway, to whom. */
export const way = { ...network, gatewayId: segment, operator }
/** Where a list of PNs goes on: `next` of the page before. */
export const place = z.string().max(512)
/** A hundred years: past any use, and no sum with a time reaches the end of the calendar. */
export const longestLifetimeMs = 100 * 365 * 86_400_000

export const pne = z.strictObject({ operator, pneId: segment })
export type Pne = z.infer<typeof pne>

/**
 * Who may join a PN: `open`: whom a gateway admits, as one does for a device that registers without being a member;
 * `invited`: whom the owner or the administrator adds, and who accepts an invitation; `closed`: whom the owner or the
 * administrator adds, and nobody else.
 */
export const connectionMode = z.enum(['open', 'invited', 'closed'])
export type ConnectionMode = z.infer<typeof connectionMode>

/** Of a gateway among those of its PN: the greater one is the active one, unless another has claimed it. */
export const priority = z.int().min(0).max(255)
/** Name of the place that a gateway serves, in its operator's or owner's words. */
export const zone = z.string().min(1).max(128)

/** What a grant lets an operator do in a PN, beyond reading it. */
export const right = z.enum(['register', 'admit', 'gateway'])
export type Right = z.infer<typeof right>

/** What a PNE is: an element, a gateway, or both. */
export const mode = z.enum(['PNE', 'PN_GW', 'BOTH'])
export type Mode = z.infer<typeof mode>
/** What a PNE can do, in its own words: at most 32 names, each with a short value. */
export const capabilities = z
  .record(z.string().min(1).max(64), z.string().max(256))
  .refine(value => Object.keys(value).length <= 32, { error: 'expected at most 32 capabilities' })
export type Capabilities = z.infer<typeof capabilities>

/** Chargeable services, by the names that the operator gave them. */
export const services = z
  .array(z.string().min(1).max(64))
  .max(16)
  .refine(names => new Set(names).size === names.length, { error: 'expected each service once' })

/** How long a PNE wants its registration to hold: not so short that it only refreshes. */
export const lifetime = z.int().min(1_000).max(longestLifetimeMs)
