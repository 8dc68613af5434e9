import { admit, type Desk, type Expected, mayAdminister } from './desk.ts'
import { allIn, type Facts, saidIn } from './facts.ts'
import { type InvitationStep, nameOf } from './step.ts'
import type { View } from './view.ts'

/*
 * Invitations to the PN, in the words of the home operator. One ends once; an answer beats a withdrawal that did not know of it.
 */

interface Invitation {
  readonly epoch: number
  readonly pne: string
  readonly isWithdrawn: boolean
  readonly until: number
}
type State = 'open' | 'accepted' | 'declined' | 'withdrawn' | 'expired'

function stateOf(home: Facts | undefined, { epoch }: View, number: number, now: number): State | undefined {
  const made = saidIn<Invitation>(home, `invitation ${number}`)
  if (made?.epoch !== epoch) return undefined
  const answer = saidIn<'accepted' | 'declined'>(home, `answer ${number}`)
  if (answer) return answer
  if (made.isWithdrawn) return 'withdrawn'
  return now < made.until ? 'open' : 'expired'
}

/** In words that the rig can say too. */
export const invitationsShown = (home: Facts | undefined, view: View, now: number): string[] =>
  view.state === 'live'
    ? [...allIn<Invitation>(home, 'invitation')].flatMap(({ words, value }) => {
        const state = stateOf(home, view, Number(words[0]), now)
        return state ? [`${words[0]} of ${value.pne} ${state}`] : []
      })
    : []

/** At the home operator. */
export function decideOnInvitation(step: InvitationStep, desk: Desk): Expected {
  const { view, own, time, say } = desk
  const key = `invitation ${step.invitation}`
  const state = stateOf(own, view, step.invitation, time)
  switch (step.kind) {
    case 'invite': {
      const pne = nameOf(step.pne)
      if (!mayAdminister(view, step.by) || view.mode === 'closed') return 403
      if (view.members.get(pne)?.isFirm) return 409
      const invited = [...allIn<Invitation>(own, 'invitation')].filter(({ value }) => value.pne === pne)
      if (invited.some(({ words }) => stateOf(own, view, Number(words[0]), time) === 'open')) return 409
      say(key, { epoch: view.epoch, pne, isWithdrawn: false, until: time + step.forMs } satisfies Invitation)
      return 'ok'
    }
    case 'withdraw': {
      const made = saidIn<Invitation>(own, key)
      if (!mayAdminister(view, step.by)) return 403
      if (!made || !state) return 404
      if (state === 'withdrawn') return 'ok'
      if (state !== 'open') return refusalOf(state)
      say(key, { ...made, isWithdrawn: true } satisfies Invitation)
      return 'ok'
    }
    case 'answer invitation': {
      if (!state) return 404
      if (state !== 'open') return refusalOf(state)
      if (step.isYes && view.mode === 'closed') return 403
      say(`answer ${step.invitation}`, step.isYes ? 'accepted' : 'declined')
      if (step.isYes) admit(desk, { isFirm: true }, step.pne)
      return 'ok'
    }
  }
}

const refusalOf = (state: Exclude<State, 'open'>): number => (state === 'accepted' || state === 'declined' ? 409 : 410)
