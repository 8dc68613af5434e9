import { z } from 'zod'
import { type Content, content, scope } from '../fields.ts'

/*
 * What a device wants to be kept in step with, and how; and what of that is in force, which the operator's policy bounds.
 */

/** How a device is told that something has changed. `push`: on its connection while it has one, else by Web Push. */
export const notify = z.enum(['none', 'websocket', 'push'])
export type Notify = z.infer<typeof notify>

const durationMs = z.int().min(0).max(31_536_000_000)

export const preferenceFields = {
  /** What it wants to have, and to be told of. */
  scope,
  content,
  /** How long it lets pass between two synchronisations that nothing else is a reason for. */
  periodMs: durationMs,
  /** Media that are larger it does not fetch by itself. */
  maxMediaBytes: z.int().min(0),
  /** On a network where data costs money: lists only, or all that it has elsewhere. */
  onMetered: z.enum(['list', 'full']),
  notify,
  /** How long it is left alone once it was told something. */
  quietMs: durationMs,
} as const
export const preferences = z.strictObject(preferenceFields)
export type Preferences = z.infer<typeof preferences>

/** As far as a device says what it wants. */
export const wishes = preferences.partial()
export type Wishes = z.infer<typeof wishes>

/** What an operator lets its users' devices have. */
export interface DevicePolicy {
  readonly maxPerUser: number
  readonly minPeriodMs: number
  readonly maxPeriodMs: number
  readonly minQuietMs: number
  readonly maxMediaBytes: number
  readonly content: readonly Content[]
  readonly notify: readonly Notify[]
}

export const defaultDevicePolicy: DevicePolicy = {
  maxPerUser: 32,
  minPeriodMs: 60_000,
  maxPeriodMs: 7 * 86_400_000,
  minQuietMs: 0,
  maxMediaBytes: 2 ** 30,
  content: ['full', 'list', 'links'],
  notify: ['none', 'websocket', 'push'],
}

/** What a device has that says nothing. */
const usual: Preferences = {
  scope: {},
  content: 'full',
  periodMs: 900_000,
  maxMediaBytes: 10 * 2 ** 20,
  onMetered: 'list',
  notify: 'websocket',
  quietMs: 0,
}

/** Each gives what those after it give, and more. */
const contents: readonly Content[] = ['full', 'list', 'links']
const notifies: readonly Notify[] = ['push', 'websocket', 'none']

/** What is in force for a device. A policy that is asked for too much gives what comes next to it. */
export function inForce(wished: Wishes, policy: DevicePolicy): Preferences {
  const periodMs = wished.periodMs ?? usual.periodMs
  return {
    scope: wished.scope ?? usual.scope,
    content: nextBelow(contents, wished.content ?? usual.content, policy.content) ?? 'links',
    periodMs: Math.max(policy.minPeriodMs, Math.min(periodMs, policy.maxPeriodMs)),
    maxMediaBytes: Math.min(wished.maxMediaBytes ?? usual.maxMediaBytes, policy.maxMediaBytes),
    onMetered: wished.onMetered ?? usual.onMetered,
    notify: nextBelow(notifies, wished.notify ?? usual.notify, policy.notify) ?? 'none',
    quietMs: Math.max(wished.quietMs ?? usual.quietMs, policy.minQuietMs),
  }
}

/** What was wanted, or else the greatest below it, that is allowed. */
const nextBelow = <T>(all: readonly T[], wanted: T, allowed: readonly T[]): T | undefined =>
  all.slice(all.indexOf(wanted)).find(one => allowed.includes(one))
