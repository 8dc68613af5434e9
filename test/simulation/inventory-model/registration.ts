import { admit, type Desk, type Expected, ground } from './desk.ts'
import { allIn, saidIn } from './facts.ts'
import { nameOf, type StepOf } from './step.ts'
import type { Registration } from './view.ts'

/*
 * How PNEs register, go on, end it, and what they use meanwhile. All of it is the word of their own operator.
 */

/** Longer than any history. */
const longMs = 86_400_000

/** What the gateway does first: whoever is no member is let in, where the PN is open. */
export function letIn(desk: Desk, { pne }: StepOf<'register'>): Expected {
  if (desk.view.members.has(nameOf(pne))) return 'ok'
  if (desk.view.mode !== 'open') return 403
  admit(desk, { isFirm: false }, pne)
  return 'ok'
}

/** Takes the place of every other that is known. */
export function register(desk: Desk, gateway: string, { pne: of, lifetimeMs = longMs }: StepOf<'register'>): void {
  const { view, own, time, id, say } = desk
  const pne = nameOf(of)
  const admission = view.members.get(pne)?.since ?? time
  for (const { words } of allIn(own, 'registration'))
    if (words[0] === pne) say(`registration ${words.join(' ')}`, undefined)
  const made: Registration = { ...ground(desk), admission, id, gateway, until: time + lifetimeMs }
  say(`registration ${pne} ${id}`, made)
}

/** @param registration the one that the PNE holds */
export function refresh(
  desk: Desk,
  gateway: string,
  { pne: of }: StepOf<'refresh'>,
  { id, lifetimeMs = longMs }: HeldRegistration,
): Expected {
  const { view, own, time, say } = desk
  const pne = nameOf(of)
  const key = `registration ${pne} ${id}`
  if (!own?.has(key)) return 404
  const [latest] = view.registrations(pne)
  const stands = view.members.get(pne)?.standing.some(standing => standing.id === id) === true
  if (!stands || latest?.id !== id) return 409
  for (const { words } of allIn(own, 'registration'))
    if (words[0] === pne) say(`registration ${words.join(' ')}`, undefined)
  const { time: _, isEnded: __, ...registration } = latest
  say(key, { ...registration, gateway, until: time + lifetimeMs } satisfies Registration)
  return 'ok'
}

/** With it ends all that it has taken the place of. */
export function deregister({ own, say }: Desk, { pne: of }: StepOf<'deregister'>, { id }: HeldRegistration): Expected {
  const pne = nameOf(of)
  if (!own?.has(`registration ${pne} ${id}`)) return 404
  if (saidIn(own, `registration ${pne} ${id}`) === undefined) return 'ok'
  if (saidIn(own, `ended ${pne} ${id}`) !== undefined) return 'ok'
  for (const { words } of allIn(own, 'registration')) if (words[0] === pne) say(`ended ${words.join(' ')}`, true)
  return 'ok'
}

export interface Usage {
  readonly epoch: number
  readonly grant: number | undefined
  readonly registration: number
  readonly amount: number
}

/** A report counts once, for the registration that it was made of. */
export function use(desk: Desk, { pne: of, report }: StepOf<'use'>, { id }: HeldRegistration): Expected {
  const { view, own, say } = desk
  const pne = nameOf(of)
  const key = `usage ${pne} ${report}`
  const present = saidIn<Usage>(own, key)
  if (present) return present.registration === id ? 'ok' : 409
  if (!view.registrations(pne).some(made => made.id === id)) return 404
  say(key, { ...ground(desk), registration: id, amount: amountOf(report) } satisfies Usage)
  return 'ok'
}

export const amountOf = (report: number): number => 1 + report

/** What a device remembers: the step in which it registered last. */
export interface HeldRegistration {
  readonly id: number
  readonly lifetimeMs: number | undefined
}
