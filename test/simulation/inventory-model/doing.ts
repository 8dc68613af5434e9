import { createPne, type PersonalNetworkElement, type PneRegistration } from '../../../src/client/pne.ts'
import {
  gatewayActivate,
  gatewayAttach,
  gatewayDetach,
  groupAnswer,
  groupCreate,
  groupDissolve,
  groupInvite,
  groupJoin,
  groupLeave,
  groupTransfer,
  pnAccept,
  pnAdmin,
  pnChange,
  pnDecline,
  pnEstablish,
  pnGrant,
  pnInvite,
  pnRelease,
  pnUpdate,
  pnWithdraw,
  presenceReport,
  usageReport,
} from '../../../src/inventory/methods.ts'
import type { NetworkName } from '../../../src/inventory/view.ts'
import { operatorId } from '../../../src/ports/names.ts'
import type { SimulatedClient } from '../../../src/simulation/federation/client.ts'
import type { SimulatedOperator } from '../../../src/simulation/federation/operator.ts'
import { offerMs } from './groups.ts'
import { gatewayIdAt, idOf, numberOfGroup, numberOfInvitation, type Reading } from './reading.ts'
import { amountOf, type HeldRegistration } from './registration.ts'
import {
  type By,
  firstAlias,
  type GroupStep,
  gatewayId,
  type InvitationStep,
  type ModelPne,
  nameOf,
  type Step,
  type StepOf,
} from './step.ts'

/*
 * How owners, gateways and devices do what a plan says, each with the SDK.
 */

/** What is around those who do it. */
export interface Stage {
  readonly name: NetworkName
  readonly servers: readonly string[]
  operator(id: string): SimulatedOperator
  operatorOf(server: string): string
  /** A subscriber of the server's operator that knows this server alone. */
  client(name: string, server: string): SimulatedClient
  /** Where devices beside the gateway of a server find it. */
  doorOf(server: string): string
  /** Milliseconds since 1970. */
  readonly beganAt: number
  now(): number
  /** What a server showed when somebody last looked. */
  lastRead(server: string): Reading
}

interface Remembered {
  readonly made: HeldRegistration
  readonly madeAt: number
  readonly registration: PneRegistration
}

/** The device has never registered. */
export class NothingHeld extends Error {}

const year = 365 * 86_400_000
/** What every device registers with. */
const serviceId = 'power'

export class Doing {
  readonly #stage: Stage
  readonly #held = new Map<string, Remembered>()
  /** By number, once somebody has seen them. */
  readonly #groupIds = new Map<number, string>()
  /** Every CPNS ID that was ever given, by PNE. */
  readonly cpnsIds = new Map<string, Set<string>>()
  #commands = 0

  constructor(stage: Stage) {
    this.#stage = stage
  }

  /** What the device that a step is about remembers. */
  holdsFor(step: Step): HeldRegistration | undefined {
    return 'pne' in step ? this.#held.get(nameOf(step.pne))?.made : undefined
  }

  /** @param id of the step @throws what the SDK does; {@link NothingHeld} */
  async carryOut(step: Exclude<Step, StepOf<'wait'>>, id: number): Promise<unknown> {
    if ('group' in step) return this.#onGroup(step)
    if ('invitation' in step) return this.#onInvitation(step)
    const { at } = step
    const { name, operator, client, operatorOf } = this.#stage
    const command = this.#command()
    const owner = () => client('owner', at)
    const gateway = () => client(gatewayId, at)
    const own = { gatewayId: gatewayIdAt(operatorOf(at)) }
    switch (step.kind) {
      case 'establish': {
        const { commandId } = command
        const { pnId } = name
        return owner().insist(pnEstablish, { commandId, pnId, alias: firstAlias, lifetimeMs: step.lifetimeMs })
      }
      case 'release':
        return owner().insist(pnRelease, command)
      case 'grant':
      case 'revoke': {
        const { id: grantee, fingerprint } = operator(step.operator)
        const isGrant = step.kind === 'grant'
        const rights = isGrant ? (['register', 'admit', 'gateway'] as const) : []
        const expires = isGrant && step.isAnew ? this.#stage.now() + 2 * year : this.#stage.beganAt + year
        return owner().insist(pnGrant, { ...command, operator: grantee, fingerprint, rights: [...rights], expires })
      }
      case 'rename':
        return owner().insist(pnChange, { ...command, alias: step.alias })
      case 'last':
        return owner().insist(pnChange, { ...command, lifetimeMs: step.lifetimeMs })
      case 'open':
        return owner().insist(pnChange, { ...command, connectionMode: step.mode })
      case 'assign':
      case 'transfer':
      case 'dismiss': {
        const operation = step.kind === 'dismiss' ? 'remove' : step.kind
        return this.#by(step.by, at).insist(pnAdmin, { ...command, operation, pne: asPne(step.pne) })
      }
      case 'add':
      case 'remove':
        return this.#by(step.by, at).insist(pnUpdate, { ...command, operation: step.kind, pnes: [asPne(step.pne)] })
      case 'attach':
        return gateway().insist(gatewayAttach, { ...command, ...own, priority: step.priority })
      case 'detach': {
        const of = { gatewayId: gatewayIdAt(step.operator), operator: operatorId(step.operator) }
        return (step.operator === operatorOf(at) ? gateway() : owner()).insist(gatewayDetach, { ...command, ...of })
      }
      case 'activate':
        return gateway().insist(gatewayActivate, { ...command, ...own })
      case 'register': {
        const { pne, lifetimeMs } = step
        const registration = await this.#device(at, pne, lifetimeMs).register()
        return this.#remember(pne, { made: { id, lifetimeMs }, madeAt: registration.saidAt, registration })
      }
      case 'refresh': {
        const held = this.#heldBy(step.pne)
        const device = this.#device(at, step.pne, held.made.lifetimeMs)
        return this.#remember(step.pne, { ...held, registration: await device.refresh(held.registration) })
      }
      case 'deregister': {
        const { made, registration } = this.#heldBy(step.pne)
        return this.#device(at, step.pne, made.lifetimeMs).deregister(registration)
      }
      case 'use': {
        const { registration, madeAt } = this.#heldBy(step.pne)
        const { transaction } = registration
        const pne = asPne(step.pne)
        return client(pne.pneId, at).insist(usageReport, {
          ...{ ...command, ...pne, transaction, serviceId, unit: 'seconds' },
          reportId: idOf('report', step.report),
          amount: amountOf(step.report),
          ...{ from: madeAt, to: madeAt + 1 },
        })
      }
    }
  }

  async #onGroup(step: GroupStep & { readonly at: string }): Promise<unknown> {
    const { at } = step
    const command = { ...this.#command(), groupId: this.#groupId(step.group) }
    const { groupId: _, ...creation } = command
    const as = ({ by }: { readonly by: By }) => (by ? { pne: asPne(by) } : {})
    switch (step.kind) {
      case 'create group': {
        const service = { serviceId: 'music', serviceName: 'Music' }
        const joining = step.isOpen ? 'open' : 'invited'
        const pne = asPne(step.pne)
        return this.#by(pne, at).insist(groupCreate, { ...creation, pne, name: `${step.group}`, service, joining })
      }
      case 'join group':
        return this.#by(step.pne, at).insist(groupJoin, { ...command, pne: asPne(step.pne) })
      case 'leave group':
        return this.#by(step.by, at).insist(groupLeave, { ...command, ...as(step), member: asPne(step.pne) })
      case 'invite to group': {
        const expires = this.#stage.now() + 20 * 86_400_000
        return this.#by(step.by, at).insist(groupInvite, { ...command, ...as(step), invitee: asPne(step.pne), expires })
      }
      case 'offer group': {
        const expires = this.#stage.now() + offerMs
        const offer = { candidate: asPne(step.pne), reason: '', expires }
        return this.#by(step.by, at).insist(groupTransfer, { ...command, ...as(step), ...offer })
      }
      case 'answer offer': {
        const group = this.#stage.lastRead(at).groups.find(({ groupId }) => groupId === command.groupId)
        const answer = { transfer: group?.offer?.transfer ?? 'none', accept: step.isYes }
        return this.#by(step.pne, at).insist(groupAnswer, { ...command, pne: asPne(step.pne), ...answer })
      }
      case 'dissolve group':
        return this.#by(step.by, at).insist(groupDissolve, { ...command, ...as(step) })
    }
  }

  async #onInvitation(step: InvitationStep & { readonly at: string }): Promise<unknown> {
    const { at } = step
    const command = this.#command()
    const invitation = this.#invitationId(step.invitation)
    switch (step.kind) {
      case 'invite': {
        const commandId = idOf('invitation', step.invitation)
        const { operator, pneId: identity } = asPne(step.pne)
        const expires = this.#stage.now() + step.forMs
        const invitee = { operator, identity, role: 'PNE' as const, expires }
        return this.#by(step.by, at).insist(pnInvite, { ...command, commandId, ...invitee })
      }
      case 'withdraw': {
        // What was last said of it names it too.
        const commandId = `${idOf('withdrawal', step.invitation)}-${this.#commands}`
        return this.#by(step.by, at).insist(pnWithdraw, { ...command, commandId, invitation })
      }
      case 'answer invitation': {
        const answer = step.isYes ? pnAccept : pnDecline
        const params = { ...command, invitation, pne: asPne(step.pne) }
        return this.#by(step.pne, at).insist<typeof params, unknown>(answer, params)
      }
    }
  }

  /** Every gateway says that it is there. */
  async showGateways(): Promise<void> {
    const { servers, client, operatorOf, name } = this.#stage
    const report = { ...name, state: 'active' as const }
    await Promise.allSettled(
      servers.map(async server => {
        const session = await client(gatewayId, server).session()
        await session.call(presenceReport, { ...report, gatewayId: gatewayIdAt(operatorOf(server)) })
      }),
    )
  }

  #by(by: By, at: string): SimulatedClient {
    return this.#stage.client(by?.pneId ?? 'owner', at)
  }

  /** A device beside the gateway of a server. */
  #device(at: string, { operator, pneId }: ModelPne, lifetimeMs: number | undefined): PersonalNetworkElement {
    const { name, client, doorOf } = this.#stage
    return createPne(client(pneId, at).clientPorts, {
      gatewayUrl: doorOf(at),
      ...name,
      ...asPne({ operator, pneId }),
      key: this.#stage.operator(operator).keyOf(pneId),
      services: [serviceId],
      ...(lifetimeMs !== undefined && { lifetimeMs }),
    })
  }

  #remember(pne: ModelPne, remembered: Remembered): void {
    const { cpnsId } = remembered.registration
    this.#held.set(nameOf(pne), remembered)
    this.cpnsIds.set(nameOf(pne), (this.cpnsIds.get(nameOf(pne)) ?? new Set()).add(cpnsId))
  }

  #heldBy(pne: ModelPne): Remembered {
    const held = this.#held.get(nameOf(pne))
    if (held) return held
    throw new NothingHeld(`${nameOf(pne)} has never registered.`)
  }

  #groupId(number: number): string {
    const groups = this.#stage.servers.flatMap(server => this.#stage.lastRead(server).groups)
    for (const group of groups) this.#groupIds.set(numberOfGroup(group), group.groupId)
    return this.#groupIds.get(number) ?? 'unknown'
  }

  #invitationId(number: number): string {
    const invitations = this.#stage.servers.flatMap(server => this.#stage.lastRead(server).invitations)
    return invitations.find(invitation => numberOfInvitation(invitation) === number)?.id ?? 'unknown'
  }

  #command() {
    this.#commands += 1
    return { ...this.#stage.name, commandId: idOf('command', this.#commands) }
  }
}

const asPne = ({ operator, pneId }: ModelPne) => ({ operator: operatorId(operator), pneId })
