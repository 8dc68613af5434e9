import type { Clock } from '../ports/clock.ts'
import {
  FrameTooLarge,
  type PeerNetwork,
  type PeerStream,
  PeerUnreachable,
  StreamClosed,
} from '../ports/peer-network.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { Allowances } from './allowances.ts'
import { CommandRefused, type Status, statuses } from './command.ts'
import { defaultReplicationMs } from './durability.ts'
import type { CommandAnswer, CommandHandler, Federation, ForwardedCommand, Forwarder } from './federation.ts'
import { MalformedFrame } from './frame-shape.ts'
import { decodeAnswer, decodeRequest, encodeAnswer, encodeRequest, type Request } from './wire-requests.ts'

/*
 * Forwarded commands: one stream for each, a request one way and an answer the other. Commands are made so that executed
 * twice they have happened once; so one that got lost on its way may be sent again, through another server.
 */

export const requestProtocol = '/cpns/request/1'

export interface RequestLimits {
  /** How long a forwarded command may take, all servers tried. */
  readonly timeoutMs: number
  /** Commands of one peer that are executed at once, those that go on after their time included; more are refused. */
  readonly maxPerPeer: number
  /** Commands of all servers of one other operator: in the long run, and at once. */
  readonly perOperatorPerSecond: number
  readonly operatorBurst: number
  /** What a peer with too many is told. */
  readonly retryAfterMs: number
  /** What an answer needs for its way: what waits until others hold something ends so long before the time of a request. */
  readonly answerMs: number
}

export const defaultRequestLimits: RequestLimits = {
  timeoutMs: 10_000,
  maxPerPeer: 64,
  perOperatorPerSecond: 500,
  operatorBurst: 1_000,
  retryAfterMs: 1_000,
  answerMs: 1_000,
}

type Refusal = Extract<CommandAnswer, { ok: false }>

export const refusal = (status: Status, message: string, cause: string = statuses[status]): Refusal => ({
  ok: false,
  status,
  cause,
  message,
})

/** What became of a request to one server. */
export type Sent = { readonly type: 'answered'; readonly answer: CommandAnswer } | { readonly type: 'lost' }

/** Sends one request to one server and waits for its answer. `lost`: it broke off, and another server may be asked. */
export async function sendRequest(
  peer: Forwarder['server'],
  command: ForwardedCommand,
  timeoutMs: number,
  { network, clock }: { readonly network: PeerNetwork; readonly clock: Clock },
): Promise<Sent> {
  const frame = encoded(() => encodeRequest({ command, timeoutMs: Math.max(1, Math.floor(timeoutMs)) }))
  if (!frame) return { type: 'answered', answer: refusal(400, 'The command is too large to be forwarded.') }
  const timeout = refusal(504, `${peer} did not answer within ${Math.round(timeoutMs)} ms; it may still execute it.`)
  let stream: PeerStream | undefined
  let isLate = false
  const { promise: late, resolve: becomeLate } = Promise.withResolvers<Sent>()
  const cancel = clock.after(timeoutMs, () => {
    isLate = true
    stream?.reset('The request took too long.')
    becomeLate({ type: 'answered', answer: timeout })
  })

  const asked = async (): Promise<Sent> => {
    try {
      stream = await network.open(peer, requestProtocol)
      if (isLate) stream.reset('The request took too long.')
      await stream.send(frame)
      await stream.close()
      const first = await stream.frames[Symbol.asyncIterator]().next()
      return first.done ? { type: 'lost' } : { type: 'answered', answer: decodeAnswer(first.value) }
    } catch (error) {
      stream?.reset('The request broke off.')
      return failed(error, peer)
    }
  }

  try {
    return await Promise.race([asked(), late])
  } finally {
    cancel()
  }
}

function failed(error: unknown, peer: string): Sent {
  if (error instanceof StreamClosed || error instanceof PeerUnreachable) return { type: 'lost' }
  if (error instanceof MalformedFrame || error instanceof FrameTooLarge) {
    return { type: 'answered', answer: refusal(500, `${peer} gave an answer that cannot be read: ${error.message}`) }
  }
  throw error
}

export interface RequestServer {
  /** Reads the one request of a stream, has it executed, answers. Never throws. */
  serve(stream: PeerStream, from: Forwarder): Promise<void>
}

/** Executes what peers forward. */
export function createRequestServer(options: {
  readonly handlers: ReadonlyMap<string, CommandHandler>
  /** The operator of this server. */
  readonly own: Forwarder['operator']
  readonly replicated: Federation['replicated']
  readonly limits: RequestLimits
  readonly clock: Clock
  readonly telemetry: Telemetry
}): RequestServer {
  const { handlers, replicated, limits, clock, telemetry } = options
  const running = new Map<Forwarder['server'], number>()
  const rates = new Allowances(clock, limits.perOperatorPerSecond, limits.operatorBurst)

  /** The milliseconds until the operator may send another one, 0: now. Servers of one's own are not counted. */
  const waitOf = ({ operator }: Forwarder): number => (operator === options.own ? 0 : rates.take(operator))

  async function answerTo(request: Request, from: Forwarder): Promise<CommandAnswer> {
    const { command } = request
    const handler = handlers.get(command.method)
    if (!handler) return refusal(404, `This server executes no ${command.method}.`, 'METHOD_UNKNOWN')
    const span = telemetry.spans?.begin('request.served', { server: from.server }, { method: command.method })
    const execute = () => executed(handler, request, from)
    const answer = await (span ? span.within(execute) : execute())
    span?.end(answer.ok ? 'ok' : String(answer.status))
    return answer
  }

  async function executed(handler: CommandHandler, request: Request, from: Forwarder): Promise<CommandAnswer> {
    const { command } = request
    const beganMs = clock.elapsed()
    try {
      const answer = await handler(command, from)
      const leftMs = timeoutOf(request) - (clock.elapsed() - beganMs) - limits.answerMs
      return await durably(answer, command, Math.max(0, leftMs))
    } catch (error) {
      if (error instanceof CommandRefused) {
        const { status, reason, message, retryAfterMs } = error
        return { ok: false, status, cause: reason, message, ...(retryAfterMs !== undefined && { retryAfterMs }) }
      }
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('error', 'command.failed', { method: command.method, peer: from.server, message })
      return refusal(500, 'The command failed for a reason inside the server; its log says which.')
    }
  }

  async function durably(
    answer: CommandAnswer,
    { durability }: ForwardedCommand,
    leftMs: number,
  ): Promise<CommandAnswer> {
    if (!answer.ok || !answer.concern || !durability) return answer
    const { replicated: wanted, timeoutMs = defaultReplicationMs } = durability
    const wish = { replicated: wanted, timeoutMs: Math.min(timeoutMs, leftMs) }
    return { ...answer, durability: await replicated(answer.concern, wish) }
  }

  const timeoutOf = (request: Request): number => Math.min(request.timeoutMs, limits.timeoutMs)

  /** The answer, or 504 at the deadline that the asker has named. */
  function inTime(executed: Promise<CommandAnswer>, request: Request): Promise<CommandAnswer> {
    const timeoutMs = timeoutOf(request)
    return new Promise(resolve => {
      const late = () => resolve(refusal(504, `The command was not executed within ${timeoutMs} ms.`))
      const cancel = clock.after(timeoutMs, late)
      void executed.then(answer => {
        cancel()
        resolve(answer)
      })
    })
  }

  async function received(stream: PeerStream): Promise<Request | undefined> {
    const cancel = clock.after(limits.timeoutMs, () => stream.reset('No request came.'))
    try {
      const first = await stream.frames[Symbol.asyncIterator]().next()
      return first.done ? undefined : decodeRequest(first.value)
    } finally {
      cancel()
    }
  }

  async function answered(stream: PeerStream, from: Forwarder): Promise<CommandAnswer | undefined> {
    if ((running.get(from.server) ?? 0) >= limits.maxPerPeer) {
      return { ...refusal(503, 'Too many commands of this server are under way.'), retryAfterMs: limits.retryAfterMs }
    }
    const waitMs = waitOf(from)
    if (waitMs > 0) {
      const text = `At most ${limits.perOperatorPerSecond} commands of ${from.operator} a second in the long run.`
      return { ...refusal(429, text), retryAfterMs: waitMs }
    }
    const leave = enter(from)
    let executed: Promise<CommandAnswer> | undefined
    try {
      const request = await received(stream)
      if (!request) return undefined
      executed = answerTo(request, from)
      const answer = await inTime(executed, request)
      if (!answer.ok) refused(request, from, answer)
      return answer
    } catch (error) {
      if (error instanceof MalformedFrame) return refusal(400, error.message)
      throw error
    } finally {
      // What goes on after its time still occupies this server.
      if (executed) void executed.then(leave)
      else leave()
    }
  }

  /** Counts one more command of a peer, until what it returns is called. */
  function enter({ server }: Forwarder): () => void {
    running.set(server, (running.get(server) ?? 0) + 1)
    return () => {
      const left = (running.get(server) ?? 1) - 1
      if (left > 0) running.set(server, left)
      else running.delete(server)
    }
  }

  /** An answer that nobody takes occupies this server as a command does, and not for ever. */
  async function send(answer: CommandAnswer, stream: PeerStream, from: Forwarder): Promise<void> {
    const leave = enter(from)
    const cancel = clock.after(limits.timeoutMs, () => stream.reset('The answer was not taken.'))
    try {
      const tooLarge = refusal(500, 'The answer is too large to be sent.')
      await stream.send(encoded(() => encodeAnswer(answer)) ?? encodeAnswer(tooLarge))
      await stream.close()
    } finally {
      cancel()
      leave()
    }
  }

  function refused({ command }: Request, from: Forwarder, { status, cause }: Refusal): void {
    const { method, proof } = command
    const fields = {
      method,
      peer: from.server,
      operator: from.operator,
      status,
      reason: cause,
      proof: proof !== undefined,
    }
    telemetry.log('info', 'command.refused', fields)
  }

  return {
    async serve(stream, from) {
      try {
        const answer = await answered(stream, from)
        if (!answer) {
          stream.reset('There was no request.')
          return
        }
        if (!answer.ok) telemetry.count('cpns_commands_refused_total', { reason: String(answer.status) })
        await send(answer, stream, from)
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        telemetry.log('info', 'request.broken', { peer: from.server, message })
        stream.reset('The request broke off.')
      }
    },
  }
}

/** The frame, unless what it should hold is too large for it. */
function encoded(encode: () => Uint8Array): Uint8Array | undefined {
  try {
    return encode()
  } catch (error) {
    if (error instanceof MalformedFrame) return undefined
    throw error
  }
}
