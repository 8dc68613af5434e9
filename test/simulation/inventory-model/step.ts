/* What may happen, in words that the plan, the model and the rig share. */

export interface ModelPne {
  readonly operator: string
  readonly pneId: string
}

/** Who gives a command: a PNE, as a subscriber of its operator, or else the owner of the PN. */
export type By = ModelPne | undefined

type Anywhere =
  | { readonly kind: 'establish'; readonly lifetimeMs: number | undefined }
  | { readonly kind: 'release' }
  /** Until a time that is always the same, or until one that no grant had before. */
  | { readonly kind: 'grant'; readonly operator: string; readonly isAnew: boolean }
  | { readonly kind: 'revoke'; readonly operator: string }
  | { readonly kind: 'rename'; readonly alias: string }
  | { readonly kind: 'last'; readonly lifetimeMs: number | null }
  | { readonly kind: 'open'; readonly mode: Mode }
  | { readonly kind: 'assign' | 'transfer' | 'dismiss'; readonly by: By; readonly pne: ModelPne }
  | { readonly kind: 'add' | 'remove'; readonly by: By; readonly pne: ModelPne }
  | { readonly kind: 'attach'; readonly priority: number | undefined }
  | { readonly kind: 'detach'; readonly operator: string }
  | { readonly kind: 'activate' }
  | { readonly kind: 'register'; readonly pne: ModelPne; readonly lifetimeMs: number | undefined }
  /** Of the registration that the PNE holds, through the gateway where the step is. */
  | { readonly kind: 'refresh'; readonly pne: ModelPne }
  | { readonly kind: 'deregister'; readonly pne: ModelPne }
  | { readonly kind: 'use'; readonly pne: ModelPne; readonly report: number }
  /** Nothing happens for so long. */
  | { readonly kind: 'wait'; readonly forMs: number }
  | GroupStep
  | InvitationStep

/** Groups are numbered in the order in which a plan creates them. */
export type GroupStep = { readonly group: number } & (
  | { readonly kind: 'create group'; readonly pne: ModelPne; readonly isOpen: boolean }
  | { readonly kind: 'join group'; readonly pne: ModelPne }
  | { readonly kind: 'leave group' | 'invite to group' | 'offer group'; readonly by: By; readonly pne: ModelPne }
  | { readonly kind: 'answer offer'; readonly pne: ModelPne; readonly isYes: boolean }
  | { readonly kind: 'dissolve group'; readonly by: By }
)

/** Invitations are numbered in the order in which a plan makes them; `pne` is who is invited. */
export type InvitationStep = { readonly invitation: number } & (
  | { readonly kind: 'invite'; readonly by: By; readonly pne: ModelPne; readonly forMs: number }
  | { readonly kind: 'withdraw'; readonly by: By }
  | { readonly kind: 'answer invitation'; readonly pne: ModelPne; readonly isYes: boolean }
)

/** `at`: the server that the step is given to. */
export type Step = { readonly at: string } & Anywhere
export type StepOf<Kind extends Step['kind']> = Extract<Step, { readonly kind: Kind }>

export const modes = ['open', 'invited', 'closed'] as const
export type Mode = (typeof modes)[number]

export interface Layout {
  /** The server names of each operator; the first operator is the home. */
  readonly operators: ReadonlyMap<string, readonly string[]>
  readonly home: string
}

export const pneIds = ['lamp', 'watch'] as const
/** The gateway of an operator is a PNE too. */
export const gatewayId = 'gateway'
/** What every PN is established with. */
export const firstAlias = 'Flat'

export const nameOf = ({ operator, pneId }: ModelPne): string => `${operator}/${pneId}`
export const gatewayOf = (operator: string): string => nameOf({ operator, pneId: gatewayId })
