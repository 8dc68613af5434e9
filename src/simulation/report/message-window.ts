import { syncProtocol } from '../../federation/link.ts'
import type { Packet } from '../packet.ts'
import { syncKindOf } from './frame-classes.ts'
import type { SpaceTime, SpaceTimeMessage } from './run-data.ts'

/** A diagram of more servers, or of more messages, cannot be read. */
export const hostsAtMost = 20
const messagesAtMost = 400
const beforeMs = 1_000
const afterMs = 3_000
/** The window is narrowed until the messages in it can be drawn, but no further. */
const leastShare = 0.01
/** What is left out where there are too many: messages that say least. */
const dull = ['beat', 'linked', 'receipt', 'have']

/** Keeps the messages between servers of a short while: around the first fault, or from the first call of {@link begin} on. */
export class MessageWindow {
  readonly #hosts: ReadonlySet<string>
  readonly #messages: SpaceTimeMessage[] = []
  readonly #marks: { host: string; timeMs: number; kind: string }[] = []
  #startMs: number | undefined
  #faultMs: number | undefined

  constructor(hosts: readonly string[]) {
    this.#hosts = new Set(hosts.length <= hostsAtMost ? hosts : [])
  }

  /** The workload begins. */
  begin(nowMs: number): void {
    this.#startMs ??= nowMs
  }

  fault(nowMs: number): void {
    if (this.#faultMs !== undefined) return
    this.#faultMs = nowMs
    const keep = this.#messages.filter(({ sentMs }) => sentMs >= nowMs - beforeMs)
    this.#messages.splice(0, this.#messages.length, ...keep)
  }

  mark(host: string, timeMs: number, kind: string): void {
    if (this.#isOpen(timeMs) && this.#hosts.has(host)) this.#marks.push({ host, timeMs, kind })
  }

  passed(packet: Packet, sentMs: number, arrivedMs: number | undefined): void {
    if (packet.channel !== 'peer' || !this.#isOpen(sentMs)) return
    if (!this.#hosts.has(packet.from) || !this.#hosts.has(packet.to)) return
    const { from, to, bytes } = packet
    const lost = arrivedMs === undefined
    this.#messages.push({ from, to, about: aboutOf(packet), bytes, sentMs, ...(!lost && { arrivedMs }) })
    if (this.#faultMs === undefined && this.#messages.length > 20 * messagesAtMost) this.#trim(sentMs)
  }

  #trim(nowMs: number): void {
    const keep = this.#messages.filter(({ sentMs }) => sentMs >= nowMs - beforeMs)
    this.#messages.splice(0, this.#messages.length, ...keep)
  }

  #isOpen(nowMs: number): boolean {
    if (this.#hosts.size === 0 || this.#startMs === undefined || nowMs < this.#startMs) return false
    return this.#faultMs === undefined || nowMs <= this.#faultMs + afterMs
  }

  result(): SpaceTime | undefined {
    if (this.#startMs === undefined || this.#hosts.size === 0) return undefined
    const centreMs = this.#faultMs ?? this.#startMs + beforeMs
    const telling = this.#messages.filter(({ about }) => !dull.includes(about))
    let share = 1
    const between = (messages: readonly SpaceTimeMessage[]) =>
      messages.filter(({ sentMs }) => sentMs >= centreMs - share * beforeMs && sentMs <= centreMs + share * afterMs)
    while (between(telling).length > messagesAtMost && share > leastShare) share *= 0.8
    const fromMs = centreMs - share * beforeMs
    const within = between(this.#messages)
    const drawable = within.length > messagesAtMost ? between(telling) : within
    const messages = drawable.slice(0, messagesAtMost)
    // What does not fit is beyond the end of the window, not left out of it.
    const isCut = messages.length < drawable.length
    const untilMs = isCut ? (messages.at(-1)?.sentMs ?? fromMs) : centreMs + share * afterMs
    const leftOut = within.filter(({ sentMs }) => sentMs <= untilMs).length - messages.length
    const marks = this.#marks.filter(({ timeMs }) => timeMs >= fromMs && timeMs <= untilMs)
    return { hosts: [...this.#hosts], fromMs, untilMs, messages, leftOut, marks }
  }
}

/** The kind of a frame of sync; of others the protocol. */
function aboutOf({ about, frame }: Packet): string {
  if (about !== syncProtocol || !(frame instanceof Uint8Array)) return about.replace(/^\/cpns\/|\/\d+$/g, '')
  return syncKindOf(frame) ?? 'sync'
}
