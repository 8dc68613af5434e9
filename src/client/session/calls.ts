import type { MethodSpec } from '../../federation/command.ts'
import { commandCompleted, commandOutcome } from '../../inventory/forwarding/methods.ts'
import type { ClientIdentity } from '../authenticate.ts'
import { waitOf } from '../durably.ts'
import { AnswerLost, CommandPending, NotConnected, ProtocolViolation, RequestRefused } from '../errors.ts'
import { backoffMs } from '../patience.ts'
import { type ProofTarget, type Prover, Proving, proofLifetimesMs, targetOf } from '../proving.ts'
import type { CallOptions, ClientPorts, CommandState, SessionListener } from '../session.ts'
import type { Wire } from '../wire.ts'
import type { Attachment } from './attachment.ts'

/*
 * Calls of methods over a connection that comes and goes: each waits for it, within its time; a command that another operator
 * executes is sent there with the client's own proof; one that is kept for later is asked after.
 */

/** While a call waits for the outcome of a kept command it asks now and then, if it is not told. */
const asking = { firstMs: 1_000, longestMs: 10_000 }

export class Calls {
  readonly #ports: ClientPorts
  readonly #identity: ClientIdentity
  readonly #attachment: Attachment
  readonly #listen: (listener: SessionListener) => () => void
  readonly #timeoutMs: number
  readonly #proving: Proving

  constructor(
    ports: ClientPorts,
    identity: ClientIdentity,
    attachment: Attachment,
    listen: (listener: SessionListener) => () => void,
    timeoutMs: number,
  ) {
    this.#ports = ports
    this.#identity = identity
    this.#attachment = attachment
    this.#listen = listen
    this.#timeoutMs = timeoutMs
    this.#proving = new Proving(ports.crypto, ports.clock)
  }

  async call<P, R>(spec: MethodSpec<P, R>, params: P, options: CallOptions = {}): Promise<R> {
    const deadlineMs = this.#ports.clock.elapsed() + (options.timeoutMs ?? this.#timeoutMs) + waitOf(spec)
    const leftMs = () => Math.ceil(deadlineMs - this.#ports.clock.elapsed())
    try {
      return await this.#callProved(spec, params, options, leftMs)
    } catch (error) {
      if (!(error instanceof RequestRefused) || error.status !== 202 || error.commandId === undefined) throw error
      const { commandId, expires = 0 } = error
      const outcome = await this.#settled(spec, commandId, leftMs)
      if (outcome?.state === 'done') return outcome.result
      if (outcome?.state === 'refused') throw outcome.refusal
      throw new CommandPending(spec.method, commandId, expires)
    }
  }

  /** With a proof if one is asked for, by the caller or by the server. */
  async #callProved<P, R>(spec: MethodSpec<P, R>, params: P, options: CallOptions, leftMs: () => number): Promise<R> {
    const { prove } = options
    if (prove) return this.#callFor(spec, params, prove, prove.as ?? this.#identity, options, leftMs)
    try {
      return await this.#call(spec, params, leftMs())
    } catch (error) {
      const target = prove !== false && error instanceof RequestRefused ? targetOf(params, error) : undefined
      if (!target) throw error
      return this.#callFor(spec, params, target, this.#identity, options, leftMs)
    }
  }

  async #callFor<P, R>(
    spec: MethodSpec<P, R>,
    params: P,
    target: ProofTarget,
    prover: Prover,
    { ifUnreachable, waitMs = proofLifetimesMs.waiting }: CallOptions,
    leftMs: () => number,
  ): Promise<R> {
    const lifetimeMs = ifUnreachable === 'wait' ? waitMs : proofLifetimesMs.prompt
    const proved = await this.#proving.prove(spec, params, target, prover, lifetimeMs)
    const common = { commandProof: proved.proof, ...(ifUnreachable && { ifUnreachable }) }
    return this.#call(spec, Object.assign({}, proved.params, common), leftMs())
  }

  async outcome<P, R>(spec: MethodSpec<P, R>, commandId: string): Promise<CommandState<R>> {
    return this.#outcome(spec, commandId, this.#timeoutMs)
  }

  async #outcome<P, R>(spec: MethodSpec<P, R>, commandId: string, timeoutMs: number): Promise<CommandState<R>> {
    const outcome = await this.#call(commandOutcome, { commandId }, timeoutMs)
    if (outcome.method !== spec.method) {
      throw new ProtocolViolation(`${commandId} is a command ${outcome.method}, not ${spec.method}.`)
    }
    switch (outcome.state) {
      case 'pending':
        return { state: 'pending', expires: outcome.expires }
      case 'refused':
        return { state: 'refused', refusal: new RequestRefused(spec.method, outcome.refusal) }
      case 'done': {
        const result = spec.result.safeParse(outcome.result)
        if (result.success) return { state: 'done', result: result.data }
        throw new ProtocolViolation(`What ${spec.method} answered is not what it answers: ${result.error.message}`)
      }
    }
  }

  /** The outcome of a kept command, asked for when the server says that there is one, and now and then. */
  async #settled<P, R>(
    spec: MethodSpec<P, R>,
    commandId: string,
    leftMs: () => number,
  ): Promise<CommandState<R> | undefined> {
    for (let asked = 1; leftMs() > 0; asked++) {
      await this.#completed(
        commandId,
        Math.min(leftMs(), asking.firstMs / 2 + backoffMs(asked, this.#ports.crypto, asking)),
      )
      if (leftMs() <= 0) return undefined
      const outcome = await this.#outcome(spec, commandId, leftMs()).catch(error => {
        // It is kept, whoever cannot say so now.
        if (error instanceof AnswerLost || error instanceof NotConnected) return undefined
        throw error
      })
      if (this.#attachment.state.kind === 'closed') return undefined
      if (outcome && outcome.state !== 'pending') return outcome
    }
    return undefined
  }

  /** Resolves when the server tells that the command is completed, or after a while. */
  #completed(commandId: string, waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = this.#ports.clock.after(waitMs, resolve)
    const stop = this.#listen({
      state: ({ kind }) => {
        if (kind === 'closed') resolve()
      },
      notification(method, params) {
        if (method !== commandCompleted.method) return
        const told = commandCompleted.params.safeParse(params)
        if (told.success && told.data.commandId === commandId) resolve()
      },
    })
    return promise.finally(() => {
      cancel()
      stop()
    })
  }

  async #call<P, R>(spec: MethodSpec<P, R>, params: P, timeoutMs: number): Promise<R> {
    const standing = this.#attachment.wire
    if (standing) return standing.call(spec, params, timeoutMs)
    const startedMs = this.#ports.clock.elapsed()
    const wire = await this.#connected(timeoutMs)
    return wire.call(spec, params, timeoutMs - Math.ceil(this.#ports.clock.elapsed() - startedMs))
  }

  #connected(timeoutMs: number): Promise<Wire> {
    return this.#attachment.connected(timeoutMs, changed => this.#listen({ state: changed }))
  }
}
