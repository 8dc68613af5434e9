import type { Behaviour, Cause, Envelope, Question } from '../../actor/types.ts'
import { utf8 } from '../../commands/framing.ts'
import type { Clock } from '../../ports/clock.ts'
import { type Crypto, DecryptionFailed } from '../../ports/crypto.ts'
import { KeptAnswers } from './kept-answers.ts'
import { nextPhase, openFrame, type Phase, type SecureCrypto, sealFrame } from './keys.ts'
import type { SecureLimits } from './limits.ts'
import { encodeNotice, encodeOutcome, type InnerCall, type InnerOutcome, parseCall } from './messages.ts'
import { maxSealedAnswer, type SecureNotice, type SecureNoticesResult, secureNotices } from './methods.ts'
import { secureRefusals } from './refusals.ts'
import { emptyWindow, placeOf, type Window, windowFrames, withFrame } from './window.ts'

/*
 * One secure session, at the server: an actor, whose keys are in its memory and nowhere else. Each frame is executed once
 * at the most. While a frame's answer is kept, the same frame gets the same answer; any other frame with its counter gets
 * nothing. What cannot be opened changes nothing.
 */

export interface Frame {
  readonly phase: number
  readonly counter: number
  readonly sealed: string
}

export interface SealedNotice {
  readonly number: number
  readonly phase: number
  readonly sealed: string
}

export type SessionMessage =
  | ({ readonly type: 'frame' } & Frame & Question<string>)
  | ({ readonly type: 'notice' } & InnerCall)
  /** To be its first. */
  | { readonly type: 'begin' }
  /** The time for the first frame is over. */
  | { readonly type: 'deadline' }
  | { readonly type: 'executed'; readonly counter: number; readonly outcome: InnerOutcome }

export interface SessionOptions {
  readonly id: string
  readonly phase: Phase
  readonly secure: SecureCrypto
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly clock: Clock
  readonly limits: SecureLimits
  /** Executes for the PNE. Never rejects. */
  readonly execute: (call: InnerCall) => Promise<InnerOutcome>
  /** Sends the session a message, from outside of its turn. */
  readonly tell: (message: SessionMessage, cause: Cause) => void
  /** The PNE has shown that it is there. */
  readonly confirmed: () => void
  /** A notice is sealed, and may be pushed through the gateway. */
  readonly push: (notice: SealedNotice) => void
  readonly ended: () => void
}

/** What a phase has carried, both ways, and since when. */
interface Use {
  frames: number
  bytes: number
  readonly sinceMs: number
}

export function secureSession(options: SessionOptions): Behaviour<SessionMessage> {
  const { id, secure, crypto, clock, limits, execute } = options
  let current = options.phase
  let previous: { readonly phase: Phase; readonly until: number } | undefined
  let use: Use = { frames: 0, bytes: 0, sinceMs: clock.elapsed() }
  let window: Window = emptyWindow
  let isConfirmed = false
  const answers = new KeptAnswers(limits.keptAnswerBytes)
  /** Requests that are being executed, by counter, with whoever waits for the answer. */
  const running = new Map<number, { readonly phase: Phase; readonly waiting: Envelope<SessionMessage>[] }>()
  let notices: SecureNotice[] = []
  let lastNotice = 0

  async function take(frame: Frame, envelope: Envelope<SessionMessage>) {
    const { counter, sealed } = frame
    const digest = crypto.sha256(utf8(`${frame.phase} ${sealed}`))
    const place = placeOf(window, counter)
    if (place === 'old') return envelope.refuse(secureRefusals.frameReplayed())
    if (place === 'seen') return again(counter, digest, envelope)

    const phase = await phaseNumbered(frame.phase)
    const plaintext = phase && (await opened(phase, frame))
    if (!phase || !plaintext) return envelope.refuse(secureRefusals.frameRefused())
    if (isExhausted(phase)) return envelope.refuse(secureRefusals.rekeyNeeded())
    if (running.size >= limits.maxInFlight) return envelope.refuse(secureRefusals.tooMany(limits.maxInFlight))

    window = withFrame(window, counter)
    answers.expect(counter, digest)
    goOnWith(phase, counter)
    if (phase.number === current.number) {
      use.frames += 1
      use.bytes += sealed.length
    }
    if (!isConfirmed) options.confirmed()
    isConfirmed = true
    running.set(counter, { phase, waiting: [envelope] })
    const call = parseCall(counter, plaintext)
    const outcome = call ? executed(call) : Promise.resolve(noCall)
    void outcome.then(outcome => options.tell({ type: 'executed', counter, outcome }, envelope.cause))
  }

  /** A frame that was taken before: its sender did not get the answer. */
  function again(counter: number, digest: Uint8Array, envelope: Envelope<SessionMessage>) {
    const kept = answers.of(counter)
    if (!kept) return envelope.refuse(secureRefusals.frameReplayed())
    if (!isSame(kept.digest, digest)) return envelope.refuse(secureRefusals.frameRefused())
    const { sealed } = kept
    if (sealed !== undefined) return envelope.answer(sealed)
    running.get(counter)?.waiting.push(envelope)
  }

  async function finish(counter: number, outcome: InnerOutcome) {
    const run = running.get(counter)
    if (!run) return
    running.delete(counter)
    const place = { direction: 'down', session: id, counter } as const
    const plaintext = encodeOutcome(counter, outcome)
    const fits = plaintext.length < maxAnswerBytes
    const sealed = await sealFrame(secure, run.phase, place, fits ? plaintext : encodeOutcome(counter, tooLarge))
    if (run.phase.number === current.number) use.bytes += sealed.length
    answers.keep(counter, sealed)
    for (const envelope of run.waiting) envelope.answer(sealed)
  }

  const executed = (call: InnerCall): Promise<InnerOutcome> =>
    call.method === secureNotices.method ? Promise.resolve(noticesAfter(call.params)) : execute(call)

  /** The keys of a phase that frames may be of: this one, the one before, or the next. */
  async function phaseNumbered(number: number): Promise<Phase | undefined> {
    if (number === current.number) return current
    if (number === previous?.phase.number) return previous.phase
    return number === current.number + 1 ? nextPhase(secure, current) : undefined
  }

  /** A frame of the next phase is the word that the PNE has gone on; frames of the one before may still be on their way. */
  function goOnWith(phase: Phase, counter: number) {
    if (phase.number > current.number) {
      previous = { phase: current, until: counter + windowFrames }
      current = phase
      use = { frames: 0, bytes: 0, sinceMs: clock.elapsed() }
    }
    if (previous && window.highest >= previous.until) previous = undefined
  }

  const isExhausted = ({ number }: Phase) =>
    number === current.number &&
    (use.frames >= limits.phaseFrames ||
      use.bytes >= limits.phaseBytes ||
      clock.elapsed() - use.sinceMs >= limits.phaseMs)

  async function opened(phase: Phase, { counter, sealed }: Frame): Promise<Uint8Array | undefined> {
    try {
      return await openFrame(secure, phase, { direction: 'up', session: id, counter }, sealed)
    } catch (error) {
      if (error instanceof DecryptionFailed) return undefined
      throw error
    }
  }

  async function tell({ method, params }: InnerCall) {
    const notice = { number: ++lastNotice, method, params }
    notices = [...notices, notice].slice(-limits.keptNotices)
    if (isExhausted(current)) return // the PNE must have other keys first, and asks then
    use.frames += 1
    const place = { direction: 'notice', session: id, counter: notice.number } as const
    const sealed = await sealFrame(secure, current, place, encodeNotice(notice))
    options.push({ number: notice.number, phase: current.number, sealed })
  }

  function noticesAfter(params: unknown): InnerOutcome {
    const parsed = secureNotices.params.safeParse(params)
    if (!parsed.success) return noCall
    const { after } = parsed.data
    const found = notices.filter(({ number }) => number > after)
    const oldest = found[0]?.number ?? lastNotice + 1
    const result: SecureNoticesResult = { notices: found, missed: after + 1 < oldest }
    return { result }
  }

  return {
    receive(envelope, context) {
      const { message } = envelope
      switch (message.type) {
        case 'begin':
          return void context.after(limits.firstFrameMs, { type: 'deadline' })
        case 'deadline':
          return isConfirmed ? undefined : context.stop()
        case 'frame':
          return take(message, envelope)
        case 'executed':
          return finish(message.counter, message.outcome)
        case 'notice':
          return tell(message)
      }
    },
    mayPassivate: () => running.size === 0,
    stopped() {
      for (const { waiting } of running.values())
        for (const envelope of waiting) envelope.refuse(secureRefusals.unknown())
      options.ended()
    },
  }
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, index) => byte === b[index])

/** Base64url makes four characters of three bytes; the tag is part of them. */
const maxAnswerBytes = (maxSealedAnswer * 3) / 4 - 16

const inner = (code: number, status: number, reason: string, message: string): InnerOutcome => ({
  error: { code, message, data: { status, reason } },
})
const noCall = inner(-32600, 400, 'MALFORMED', 'What was sealed is no request that is executed here.')
const tooLarge = inner(500, 500, 'ANSWER_TOO_LARGE', 'It was done; its answer is too large for a secure session.')
