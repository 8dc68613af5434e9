import { ConnectFailed } from '../ports/client-sockets.ts'
import type { Clock } from '../ports/clock.ts'
import type { ClientCrypto } from '../ports/crypto.ts'
import { AnswerLost, NotConnected, type RequestRefused } from './errors.ts'

/** Whether it may or may not have been done: then the same command is to be repeated, which does it once at the most. */
export const isOpen = (error: unknown): boolean =>
  error instanceof AnswerLost || error instanceof NotConnected || error instanceof ConnectFailed

/** Whether the same would be refused again. Not so what is kept for later, too much at the moment, or a server's own failure. */
export const isForGood = ({ status }: RequestRefused): boolean => status >= 300 && status < 429 && status !== 423

/** Uniform in [0, 1), for jitter. */
export function fractionOf(crypto: Pick<ClientCrypto, 'randomBytes'>): number {
  const [a = 0, b = 0, c = 0] = crypto.randomBytes(3)
  return (a * 65_536 + b * 256 + c) / 2 ** 24
}

export const sleep = (clock: Clock, ms: number): Promise<void> =>
  new Promise(resolve => {
    clock.after(ms, resolve)
  })

/**
 * How long to wait before the n-th repetition (from 1): anything between nothing and twice as long as before, so that
 * clients which failed together do not come back together.
 */
export const backoffMs = (
  repetition: number,
  crypto: Pick<ClientCrypto, 'randomBytes'>,
  bounds: { readonly firstMs: number; readonly longestMs: number },
): number => fractionOf(crypto) * Math.min(bounds.longestMs, bounds.firstMs * 2 ** (repetition - 1))
