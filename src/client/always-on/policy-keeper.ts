import { z } from 'zod'
import { policyGet } from '../../access/policy/methods.ts'
import {
  comparePolicies,
  type PolicyVersion,
  type ServedPolicy,
  signedPolicy,
} from '../../access/policy/served-policy.ts'
import type { ClientCrypto } from '../../ports/crypto.ts'
import type { ServerId } from '../../ports/names.ts'
import type { PolicyStore } from '../../ports/policy-store.ts'
import type { Session } from '../session.ts'
import {
  believe,
  type KnownPolicy,
  longestChain,
  type PolicyAnchor,
  PolicyRefused,
  recall,
  trustedBy,
} from './policy-trust.ts'

/** Nothing is known after the end of the program. */
export const forgetfulStore: PolicyStore = { read: async () => undefined, write: async () => {} }

const keptShape = z.array(signedPolicy).max(longestChain)

/** The policy of one operator as a client has it: from its store, and from the servers. */
export class PolicyKeeper {
  readonly #anchor: PolicyAnchor
  readonly #store: PolicyStore
  readonly #crypto: ClientCrypto
  readonly #refused: (refusal: PolicyRefused) => void
  #known: KnownPolicy | undefined

  /** @param refused hears of policies that are not believed, whoever told or kept them */
  constructor(
    anchor: PolicyAnchor,
    store: PolicyStore,
    crypto: ClientCrypto,
    refused: (refusal: PolicyRefused) => void,
  ) {
    this.#anchor = anchor
    this.#store = store
    this.#crypto = crypto
    this.#refused = refused
  }

  get policy(): ServedPolicy | undefined {
    return this.#known?.policy
  }

  /** The servers of the operator that the client goes to. */
  get servers(): readonly ServerId[] {
    return trustedBy(this.#known, this.#anchor)
  }

  /** What was kept, if it still proves itself. What does not is as if nothing had been kept: the servers tell it again. */
  async recall(): Promise<void> {
    try {
      const text = await this.#store.read(this.#anchor.operator)
      if (text !== undefined) this.#known = await recall(keptShape.parse(JSON.parse(text)), this.#anchor, this.#crypto)
    } catch (error) {
      const message = `The policy that was kept cannot be used: ${error instanceof Error ? error.message : String(error)}`
      this.#refused(error instanceof PolicyRefused ? error : new PolicyRefused('malformed', message))
    }
  }

  /** Whether the servers have another policy than is known. */
  isBehind(told: PolicyVersion): boolean {
    return !this.#known || comparePolicies(told, this.#known.policy.version) > 0
  }

  /** Asks for the policy. Answers whether it is another one; one that is not believed changes nothing. */
  async refresh(session: Session): Promise<boolean> {
    const signed = await session.call(policyGet, {})
    try {
      const known = await believe(signed, this.#known, this.#anchor, this.#crypto)
      if (!known) return false
      this.#known = known
    } catch (error) {
      if (!(error instanceof PolicyRefused)) throw error
      this.#refused(error)
      return false
    }
    await this.#keep()
    return true
  }

  /** What cannot be kept holds for as long as the program runs. */
  async #keep(): Promise<void> {
    const text = JSON.stringify(this.#known?.chain ?? [])
    await this.#store.write(this.#anchor.operator, text).catch(() => {})
  }
}
