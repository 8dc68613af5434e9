import type { Cancel, Clock } from '../ports/clock.ts'

/*
 * Tells when each of very many things ends. Timers are set for those alone that end within the hour: the others wait in lists,
 * by the hour, so that a million of them cost some bytes each. The wall clock may be set right meanwhile, and platforms bound
 * their timers: nothing is waited for in one step of more than an hour.
 */

export interface Ends<K> {
  /** Has it told when the time comes that something ends; at once, if it is past. Nothing takes it back: whoever is told looks. */
  at(key: K, endMs: number): void
  stop(): void
}

const hourMs = 3_600_000

export function createEnds<K>(clock: Clock, ended: (key: K, endMs: number) => void): Ends<K> {
  const timers = new Set<Cancel>()
  /** By the hour in which they end, since 1970. */
  const later = new Map<number, { readonly keys: K[]; readonly ends: number[] }>()
  let turn: Cancel | undefined

  function at(key: K, endMs: number): void {
    const waitMs = endMs - clock.now()
    if (waitMs > hourMs) {
      wait(key, endMs)
      return
    }
    const cancel = clock.after(Math.max(0, waitMs), () => {
      timers.delete(cancel)
      // The wall clock may have been set back.
      if (endMs > clock.now()) at(key, endMs)
      else ended(key, endMs)
    })
    timers.add(cancel)
  }

  function wait(key: K, endMs: number): void {
    const hour = Math.floor(endMs / hourMs)
    const list = later.get(hour) ?? { keys: [], ends: [] }
    later.set(hour, list)
    list.keys.push(key)
    list.ends.push(endMs)
    turn ??= clock.after(hourMs / 2, takeNext)
  }

  function takeNext(): void {
    turn = undefined
    const upTo = Math.floor((clock.now() + hourMs) / hourMs)
    for (const [hour, { keys, ends }] of [...later]) {
      if (hour > upTo) continue
      later.delete(hour)
      for (const [index, key] of keys.entries()) at(key, ends[index] ?? 0)
    }
    if (later.size > 0) turn ??= clock.after(hourMs / 2, takeNext)
  }

  return {
    at,
    stop() {
      turn?.()
      turn = undefined
      for (const cancel of timers) cancel()
      timers.clear()
      later.clear()
    },
  }
}
