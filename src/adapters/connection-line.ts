import type { Server, Socket } from 'node:net'
import { type EventLoopUtilization, performance } from 'node:perf_hooks'
import type { Door } from './door.ts'

/*
 * What strangers take takes turns with what is asked by those who are here already. A stranger is whoever has not yet proved who it
 * is: its connection, the head of its request, its first words, its proof and that it leaves are steps, each to be done in its turn. Of steps as
 * many are done in one turn of the event loop as fit a third of a millisecond; a new connection is let in when no step waits, one in a turn.
 *
 * So the loop goes round for everybody else however many come at once, and no more strangers are inside than there is time for:
 * far ones, who are slow and wait for the network, may be many, while near ones, who answer at once, are few. How many it takes
 * to keep the loop busy is found out: more would be served no sooner, and be copied by each collection of garbage meanwhile.
 *
 * Only so many wait, which bounds how long they do: when the line is full the door is shut until half of them have been let in.
 */

export interface ConnectionLine {
  /** Does `work` for a stranger in its turn; after `close` never. */
  step(work: () => void): void
  /** Whoever is at the other end is no stranger any more, or asks for nothing that only friends get. */
  passed(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): void
  /** Turns away who still waits, and who comes. */
  close(): void
}

export interface LineOptions {
  readonly door: Pick<Door, 'shut' | 'open'>
  /** Called before anything is done for strangers in a turn of the event loop: the answers to those who are here already leave. */
  readonly before?: () => void
  /**
   * Served within half a second or so. Who finds no room comes again, later each time: of 3,334 clients that lost their server at
   * once the last was back after 32 s where 128 could wait, and after 13 s with 512.
   */
  readonly longest?: number
  /** Strangers past the line at once, at the most: far ones, whose three answers take a tenth of a second each, are then let in by more than a thousand a second. */
  readonly most?: number
}

/**
 * Of each turn of the event loop for strangers, but for the end of the step that is begun. What others ask for waits for that long: in a
 * flood one of ten waits for 2.1 ms with a whole millisecond, for 1.1 with a quarter, which lets a twentieth fewer strangers in.
 */
const turnMs = 0.35
/** More do not fit. */
const stepsInTurn = 16

/** Strangers past the line at once, however busy the loop is. */
const least = 32
/** As many of them are let in as keep the loop busy for so much of the time. */
const wantedBusy = 0.95
/** How busy it is, is measured over so long: of many who come together, many answer together. */
const lookEveryMs = 500
const growthAtMost = 1.5
const shrinkage = 0.7
/** How many there was room for so long ago says nothing of now. */
const forgottenAfterMs = 10_000

/** Puts a line before what a server does with its connections; to be called before it listens. */
export function lineUp(
  server: Server,
  { door, before = () => {}, longest = 512, most = 512 }: LineOptions,
): ConnectionLine {
  const takers = server.listeners('connection')
  /** In the order in which they came, with what takes each out that leaves. */
  const waiting = new Map<Socket, () => void>()
  const steps: (() => void)[] = []
  /** What forgets each: of a client that stays, nothing is to be left here. */
  const strangers = new Map<string, () => void>()
  let isTurnPlanned = false
  let isClosed = false
  let inside = most
  let reconsideredMs = 0
  let look: { readonly timer: NodeJS.Timeout; readonly from: EventLoopUtilization } | undefined

  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    // A reset leaves nothing behind, where an orderly end would leave each in TIME_WAIT for a minute.
    if (isClosed) return void socket.resetAndDestroy()
    // Node reads a connection from the beginning on, and whoever is to hear of its end does only once it is let in.
    socket.on('error', ignored)
    const left = () => {
      waiting.delete(socket)
      openIfThereIsRoom()
    }
    socket.on('close', left)
    waiting.set(socket, left)
    if (waiting.size >= longest) door.shut()
    planTurn()
  })

  function openIfThereIsRoom(): void {
    if (waiting.size <= longest / 2) door.open()
  }

  /** Each step is a callback of its own: what it sets off in microtasks is done before the next, and counts. */
  function planTurn(): void {
    if (isTurnPlanned || isClosed) return
    if (steps.length === 0 && (waiting.size === 0 || isFull())) return
    isTurnPlanned = true
    let left = Math.min(steps.length, stepsInTurn) + 1
    let beganMs: number | undefined
    const takeOne = () => {
      left -= 1
      if (beganMs === undefined) {
        before()
        beganMs = performance.now()
      }
      if (performance.now() - beganMs < turnMs) {
        const step = steps.shift()
        if (step) step()
        else if (left === 0) letOneIn()
      }
      if (left > 0) return
      isTurnPlanned = false
      planTurn()
    }
    for (let planned = left; planned > 0; planned--) setImmediate(takeOne)
  }

  /** Whether who waits has to wait for one of those inside; it is then looked whether there is room for more. */
  function isFull(): boolean {
    if (strangers.size < inside) return false
    if (look) return true
    if (performance.now() - reconsideredMs > forgottenAfterMs) inside = most
    look = { timer: setTimeout(reconsider, lookEveryMs).unref(), from: performance.eventLoopUtilization() }
    return strangers.size >= inside
  }

  /** What the loop does grows with those inside, as long as it is they who it waits for. */
  function reconsider(): void {
    if (!look) return
    const { utilization } = performance.eventLoopUtilization(look.from)
    look = undefined
    reconsideredMs = performance.now()
    const factor = utilization < wantedBusy ? Math.min(growthAtMost, wantedBusy / utilization) : shrinkage
    inside = Math.min(most, Math.max(least, inside * factor))
    planTurn()
  }

  function letOneIn(): void {
    if (isFull()) return
    const [next] = waiting
    if (!next) return
    const [socket, left] = next
    socket.off('close', left)
    left()
    const name = nameOf(socket)
    const closed = () => gone(name)
    strangers.set(name, () => socket.off('close', closed))
    socket.on('close', closed)
    for (const take of takers) take.call(server, socket)
  }

  function gone(name: string): void {
    const forget = strangers.get(name)
    if (!forget) return
    strangers.delete(name)
    forget()
    planTurn()
  }

  return {
    step(work) {
      steps.push(work)
      planTurn()
    },
    passed: socket => gone(nameOf(socket)),
    close() {
      isClosed = true
      clearTimeout(look?.timer)
      steps.length = 0
      for (const socket of waiting.keys()) socket.resetAndDestroy()
      waiting.clear()
    },
  }
}

/** 'close' follows, which is enough. */
const ignored = () => {}

/** The same for the socket beneath TLS and the one above it. */
const nameOf = ({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>): string =>
  `${remoteAddress} ${remotePort}`
