import type { Server, Socket } from 'node:net'

/*
 * New connections come in one after another, at the most one in each turn of the event loop. Whatever a stranger takes until it
 * has proved who it is (TLS, the head of its request, the proof) so takes turns with what is asked by those who are here already.
 * When all of them come at once, the loop would serve nobody else for as long as it takes to greet the last, and by then most have
 * lost patience.
 *
 * How many may be at it at once is found out by doing, as TCP finds out how much a way can take: while turns are short, a few
 * more; when one is long, a fifth less. Far clients are slow and many, and harm nobody; many near ones would fill a turn.
 *
 * Only so many wait, which bounds how long they do; who comes when the line is full is turned away at the socket, at a fiftieth
 * of what even a refusal in words takes.
 */

export interface ConnectionLine {
  /** Whoever is at the other end is no stranger any more, or asks for nothing that only friends get. */
  passed(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): void
  /** Turns away who still waits, and who comes. */
  close(): void
}

export interface LineOptions {
  /** Hears of each that found the line full. */
  readonly turnedAway: () => void
  /** As many as systems keep by default before a program has taken them; served in well under a second. */
  readonly longest?: number
  /** Strangers past the line: to begin with, at least, and at the most. */
  readonly atOnce?: { readonly begin: number; readonly least: number; readonly most: number }
}

const defaultAtOnce = { begin: 64, least: 16, most: 768 }
/** From so much work on a turn is felt by those who wait for an answer. What others take of the processor is not ours to mend. */
const longTurnMs = 20
/** To ask what was worked costs a twentieth of an authentication: it is asked so often at the most, and when a turn was late. */
const sampleEveryMs = 5
const growth = 0.25
const shrinkage = 0.8
/** While there are as many strangers as may be, it is looked so often whether one has gone. */
const lookAgainMs = 1

/** Puts a line before what a server does with its connections; to be called before it listens. */
export function lineUp(
  server: Server,
  { turnedAway, longest = 512, atOnce = defaultAtOnce }: LineOptions,
): ConnectionLine {
  const takers = server.listeners('connection')
  const waiting: Socket[] = []
  const strangers = new Set<string>()
  let limit = atOnce.begin
  let turnBeganMs = 0
  let sampled = { atMs: Number.NEGATIVE_INFINITY, workedMs: 0 }
  let isTurnTaken = false
  let isClosed = false

  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    if (isClosed) return void socket.resetAndDestroy()
    if (!isTurnTaken && hasRoom()) return letIn(socket)
    if (waiting.length >= longest) {
      turnedAway()
      // A reset leaves nothing behind, where an orderly end would leave each in TIME_WAIT for a minute.
      return void socket.resetAndDestroy()
    }
    waiting.push(socket)
    if (!isTurnTaken) lookLater()
  })

  const hasRoom = () => strangers.size < limit

  function letIn(socket: Socket): void {
    const name = nameOf(socket)
    strangers.add(name)
    socket.once('close', () => strangers.delete(name))
    isTurnTaken = true
    turnBeganMs = performance.now()
    if (turnBeganMs - sampled.atMs > sampleEveryMs) sampled = { atMs: turnBeganMs, workedMs: processorMs() }
    setImmediate(nextTurn)
    for (const take of takers) take.call(server, socket)
  }

  function nextTurn(): void {
    limit = wasLong() ? Math.max(atOnce.least, limit * shrinkage) : Math.min(atOnce.most, limit + growth)
    isTurnTaken = false
    goOn()
  }

  /** Of what was worked since the sample, as much as can be was worked before the turn. */
  function wasLong(): boolean {
    if (performance.now() - turnBeganMs <= longTurnMs) return false
    return processorMs() - sampled.workedMs - (turnBeganMs - sampled.atMs) > longTurnMs
  }

  function goOn(): void {
    if (waiting.length === 0) return
    const next = hasRoom() ? waiting.shift() : undefined
    if (next) letIn(next)
    else lookLater()
  }

  function lookLater(): void {
    isTurnTaken = true
    setTimeout(() => {
      isTurnTaken = false
      goOn()
    }, lookAgainMs).unref()
  }

  return {
    passed: socket => void strangers.delete(nameOf(socket)),
    close() {
      isClosed = true
      for (const socket of waiting.splice(0)) socket.resetAndDestroy()
    },
  }
}

/** The same for the socket beneath TLS and the one above it. */
const nameOf = ({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>): string =>
  `${remoteAddress} ${remotePort}`

/** What this process has had of the processors. */
function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
