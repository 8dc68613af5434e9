import { allIn, type Facts, type Held, saidIn } from './facts.ts'
import type { By, Layout, ModelPne } from './step.ts'
import { nameOf } from './step.ts'
import type { Admission, Said, View } from './view.ts'

/*
 * Where a step is decided: what a server knows, and what it may say.
 */

export type Answer = 'ok' | number
/** What a step should be answered with: done, or the status of its refusal; one of several where they come to the same. */
export type Expected = Answer | readonly Answer[]

export interface Desk {
  readonly layout: Layout
  /** Whose server it is. */
  readonly self: string
  readonly view: View
  readonly held: Held
  readonly own: Facts | undefined
  readonly time: number
  /** Of the step: what it makes is known by it. */
  readonly id: number
  say(key: string, value: unknown): void
}

export const ground = ({ view, self }: Desk): Said => ({ epoch: view.epoch, grant: view.grants.get(self)?.id })

/** The owner, and the administrator. */
export const mayAdminister = ({ administrators }: View, by: By): boolean =>
  by === undefined || administrators[0] === nameOf(by)

export function admit(desk: Desk, { isFirm }: { readonly isFirm: boolean }, of: ModelPne): void {
  const pne = nameOf(of)
  const present = desk.view.members.get(pne)
  if (present && (!isFirm || present.isFirm)) return
  const since = Math.min(desk.time, present?.since ?? desk.time)
  desk.say(`roster ${pne}`, { ...ground(desk), since, isFirm } satisfies Admission)
}

/** Undoes what its server sees, and nothing else. */
export function remove({ view, held, say }: Desk, of: ModelPne): void {
  const pne = nameOf(of)
  if (!view.members.has(pne)) return
  for (const [operator, facts] of held) {
    const admission = saidIn<Admission>(facts, `roster ${pne}`)
    if (admission) say(`undone ${operator} ${pne} ${facts.get(`roster ${pne}`)?.time}`, admission.since)
  }
  say(`roster ${pne}`, undefined)
}

/** Makes somebody administrator, or only ends it for somebody. Whatever is decided settles the matter. */
export function appoint({ view, own, say }: Desk, kind: 'assign' | 'transfer' | 'dismiss', by: By, of: ModelPne) {
  const pne = nameOf(of)
  const { administrators } = view
  if (kind === 'assign' ? by !== undefined : !mayAdminister(view, by)) return 403
  if (kind === 'dismiss') {
    if (administrators.includes(pne)) say(`administrator ${pne}`, undefined)
    return 'ok'
  }
  const [present = pne] = administrators
  if (kind === 'assign' && present !== pne) return 409
  if (administrators.length === 1 && present === pne) return 'ok'
  const admission = view.members.get(pne)?.since
  if (admission === undefined) return 409
  for (const { words } of allIn(own, 'administrator')) say(`administrator ${words[0]}`, undefined)
  say(`administrator ${pne}`, { epoch: view.epoch, admission })
  return 'ok'
}
