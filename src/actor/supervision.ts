import type { ActorKind, Message } from './types.ts'

/** After so many failures within so long an actor is given up; until then it is restarted, each time a little later. */
export type Supervision = Required<NonNullable<ActorKind<Message>['supervision']>>

/** OTP's intensity and period, wide enough to outlast the hiccup of a disk. */
export const defaultSupervision: Supervision = {
  maxRestarts: 3,
  withinMs: 5_000,
  minBackoffMs: 100,
  maxBackoffMs: 2_000,
}

export type Verdict =
  | { readonly restart: true; readonly delayMs: number; readonly failures: readonly number[] }
  | { readonly restart: false }

/**
 * What is to be done about a failure at `nowMs`, after earlier ones at `failures`. The delay doubles with each failure
 * within the period; half of it is random (`fraction`), so that actors which failed together do not return together.
 */
export function verdict(policy: Supervision, failures: readonly number[], nowMs: number, fraction: number): Verdict {
  const recent = [...failures.filter(timeMs => timeMs > nowMs - policy.withinMs), nowMs]
  if (recent.length > policy.maxRestarts) return { restart: false }
  const ceilingMs = Math.min(policy.maxBackoffMs, policy.minBackoffMs * 2 ** (recent.length - 1))
  return { restart: true, delayMs: (ceilingMs * (1 + fraction)) / 2, failures: recent }
}
