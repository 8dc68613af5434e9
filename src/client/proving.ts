import type { z } from 'zod'
import type { commandProof } from '../commands/common-parameters.ts'
import { toBase64url } from '../commands/framing.ts'
import type { MethodSpec } from '../federation/command.ts'
import { maxProofMs, proofBytes } from '../federation/proof.ts'
import type { Clock } from '../ports/clock.ts'
import type { ClientCrypto } from '../ports/crypto.ts'
import { signedBytes } from '../ports/identity.ts'
import { type DocumentId, isOperatorId, type OperatorId } from '../ports/names.ts'
import type { ClientCredential, ClientIdentity } from './authenticate.ts'
import type { RequestRefused } from './errors.ts'

/*
 * A client's own proof that it wants a command executed, which its server passes on to the operator that executes it: made
 * for that operator, one document, one command id, until a time.
 */

/** Whose command it is: the session's identity, or another subscription of the same user. */
export type Prover = Pick<ClientIdentity, 'operator' | 'identity' | 'credential'>

export interface ProofTarget {
  /** Whose servers are to execute the command. */
  readonly executor: OperatorId
  /** The home document of the Personal Network, or the mailbox document, that the command is about. */
  readonly document: DocumentId
}

/** How long proofs are good: for a command that is sent at once, and for one that may have to wait. */
export const proofLifetimesMs = { prompt: 120_000, waiting: 24 * 3_600_000, longest: maxProofMs } as const

/** The parameters with the proof, and with the time that a proved command must say. */
export interface Proved<P> {
  readonly params: P
  readonly proof: z.infer<typeof commandProof>
}

/** Times of commands that were proved before: repeated with its id, a command is the same command. */
const timesRemembered = 256

export class Proving {
  readonly #crypto: ClientCrypto
  readonly #clock: Pick<Clock, 'now'>
  readonly #times = new Map<string, number>()

  constructor(crypto: ClientCrypto, clock: Pick<Clock, 'now'>) {
    this.#crypto = crypto
    this.#clock = clock
  }

  /** @throws {TypeError} for parameters without a command id: only a command can be proved. */
  async prove<P>(
    { method }: Pick<MethodSpec<P, unknown>, 'method'>,
    params: P,
    { executor, document }: ProofTarget,
    prover: Prover,
    lifetimeMs: number,
  ): Promise<Proved<P>> {
    const commandId = commandIdOf(params)
    if (commandId === undefined) throw new TypeError(`${method} has no command id, so nobody can prove it.`)
    const { operator, identity, credential } = prover
    // What JSON leaves out is not signed either.
    const timed: P = JSON.parse(JSON.stringify(params))
    Object.assign(timed as object, { time: this.#timeOf(commandId), ...timed })
    const expires = this.#clock.now() + Math.min(lifetimeMs, maxProofMs)
    const claim = { operator, identity, executor, document, commandId, expires }
    const digest = await this.#crypto.sha256(proofBytes(claim, method, timed as never))
    const signature = await sign(credential, signedBytes('cpns-command-v1', digest), this.#crypto)
    return { params: timed, proof: { ...claim, signature: toBase64url(signature) } }
  }

  #timeOf(commandId: string): number {
    const time = this.#times.get(commandId) ?? this.#clock.now()
    this.#times.set(commandId, time)
    const [oldest] = this.#times.keys()
    if (this.#times.size > timesRemembered && oldest !== undefined) this.#times.delete(oldest)
    return time
  }
}

async function sign(credential: ClientCredential, message: Uint8Array, crypto: ClientCrypto): Promise<Uint8Array> {
  switch (credential.kind) {
    case 'psk':
      return crypto.hmacSha256(credential.key, message)
    case 'ed25519':
      return crypto.ed25519Sign(credential.privateKey, message)
  }
}

/** What a command that was refused as another operator's is to be proved for; `undefined` if it cannot be. */
export function targetOf(params: unknown, refused: RequestRefused): ProofTarget | undefined {
  const { executor } = refused
  if (refused.reason !== 'ELSEWHERE' || executor === undefined || !isOperatorId(executor)) return undefined
  const document = documentOf(params)
  return document === undefined || commandIdOf(params) === undefined ? undefined : { executor, document }
}

/** The document that a command is about. */
function documentOf(params: unknown): DocumentId | undefined {
  const [home, pnId] = [memberOf(params, 'home'), memberOf(params, 'pnId')]
  if (home !== undefined && pnId !== undefined) return `pn/${home}/${pnId}` as DocumentId
  const [operator, user] = [memberOf(params, 'operator'), memberOf(params, 'user')]
  return operator !== undefined && user !== undefined ? (`mailbox/${operator}/${user}` as DocumentId) : undefined
}

export const commandIdOf = (params: unknown): string | undefined => memberOf(params, 'commandId')

function memberOf(params: unknown, name: string): string | undefined {
  if (typeof params !== 'object' || params === null || !(name in params)) return undefined
  const value = (params as Readonly<Record<string, unknown>>)[name]
  return typeof value === 'string' ? value : undefined
}
