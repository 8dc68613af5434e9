/*
 * Which frames of a session have come, so that none is executed twice: the highest counter, and which of those shortly
 * before it. As in IPsec (RFC 4303, section 3.4.3); frames may overtake one another by so much and no more.
 */

export const windowFrames = 64

export interface Window {
  /** -1 before the first frame. */
  readonly highest: number
  /** Bit i: whether `highest - i` has come. */
  readonly seen: bigint
}

export const emptyWindow: Window = { highest: -1, seen: 0n }

const mask = (1n << BigInt(windowFrames)) - 1n

/** `new`: has not come yet; `old`: too far behind to tell. */
export function placeOf({ highest, seen }: Window, counter: number): 'new' | 'seen' | 'old' {
  if (counter > highest) return 'new'
  const behind = highest - counter
  if (behind >= windowFrames) return 'old'
  return (seen >> BigInt(behind)) & 1n ? 'seen' : 'new'
}

/** To be called with a counter whose frame was authenticated, else whoever makes up counters closes the window to others. */
export function withFrame(window: Window, counter: number): Window {
  const ahead = counter - window.highest
  if (ahead <= 0) return { ...window, seen: window.seen | (1n << BigInt(-ahead)) }
  const shifted = ahead >= windowFrames ? 0n : (window.seen << BigInt(ahead)) & mask
  return { highest: counter, seen: shifted | 1n }
}
