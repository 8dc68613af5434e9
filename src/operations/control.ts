import { fastify } from 'fastify'
import { z } from 'zod'
import { protectSocket, removeStaleSocket, socketPath } from '../adapters/control-socket.ts'
import type { CpnsNode, Drained, DrainProgress } from '../node.ts'
import type { Clock } from '../ports/clock.ts'
import type { OperatorId, ServerId } from '../ports/names.ts'
import type { Draining } from './draining.ts'

/*
 * What a running node answers to commands on its own machine: HTTP over the socket in its data folder.
 *
 *   GET  /v1/status  how it is, as one JSON object
 *   POST /v1/drain   `{"withinMs"?}`: begins to drain, and answers one JSON object for each step until it is done; then it ends
 *   GET  /livez      200 as long as it answers
 *   GET  /readyz     200 when clients may be sent to it, 503 when it is overloaded or draining
 */

/** A day: whoever wants to wait longer for clients to leave does not want to drain. */
const maxWithinMs = 86_400_000

export const drainRequest = z.strictObject({ withinMs: z.int().min(0).max(maxWithinMs).optional() })

/** The last line that a drain answers. */
export interface DrainEnd {
  readonly phase: 'done'
  /** Clients that found no other server in time, and were closed. */
  readonly clientsClosed: number
  /** How many documents may be here alone, and the first of them. */
  readonly alone: number
  readonly documents: readonly string[]
  /** Whether these are all. */
  readonly isSure: boolean
}
export type DrainLine = DrainProgress | DrainEnd

export type NodeState = 'serving' | 'draining'

export interface StatusAnswer extends ReturnType<CpnsNode['status']> {
  readonly operator: OperatorId
  readonly server: ServerId
  readonly clientUrl: string
  readonly state: NodeState
  readonly upMs: number
  readonly isReady: boolean
}

export interface Control {
  stop(): Promise<void>
}

const maxBodyBytes = 4_096
const listedDocuments = 100

/** Serves at `path`. To be called when the store of the same folder is open. @throws {NodeNotReached} */
export async function startControl(options: {
  readonly path: string
  readonly operator: OperatorId
  readonly server: ServerId
  readonly node: Pick<CpnsNode, 'status' | 'clientUrl'>
  readonly draining: Draining
  readonly clock: Pick<Clock, 'elapsed'>
}): Promise<Control> {
  const { operator, server, node, draining, clock } = options
  const path = socketPath(options.path)
  const startedMs = clock.elapsed()
  const app = fastify({ logger: false, bodyLimit: maxBodyBytes, forceCloseConnections: true })

  const status = (): StatusAnswer => {
    const found = node.status()
    const state: NodeState = draining.progress ? 'draining' : 'serving'
    const isReady = state === 'serving' && (found.level === 'normal' || found.level === 'elevated')
    const about = {
      operator,
      server,
      clientUrl: node.clientUrl(),
      state,
      upMs: Math.round(clock.elapsed() - startedMs),
    }
    return { ...about, isReady, ...found }
  }

  app.get('/livez', () => ({ isLive: true }))
  app.get('/readyz', (_request, reply) => {
    const { isReady, state, level } = status()
    return reply.code(isReady ? 200 : 503).send({ isReady, state, level })
  })
  app.get('/v1/status', status)
  app.post('/v1/drain', (request, reply) => {
    const checked = drainRequest.safeParse(request.body ?? {})
    if (!checked.success) return reply.code(400).send({ message: z.prettifyError(checked.error) })
    const { withinMs } = checked.data
    draining.begin(withinMs === undefined ? {} : { withinMs })
    return reply.type('application/x-ndjson').send(linesOf(draining))
  })
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ message: `There is no ${request.method} ${request.url} here.` }),
  )

  await removeStaleSocket(path)
  await app.listen({ path })
  await protectSocket(path)
  return { stop: () => app.close() }
}

const endOf = ({ clientsClosed, alone, isSure }: Drained): DrainEnd => ({
  phase: 'done',
  clientsClosed,
  alone: alone.length,
  documents: alone.slice(0, listedDocuments),
  isSure,
})

/** Where the drain is, each step from now on, and how it ended. */
function linesOf(draining: Draining): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let leave = () => {}
  return new ReadableStream({
    start(controller) {
      let isOpen = true
      const say = (line: DrainLine) => controller.enqueue(encoder.encode(`${JSON.stringify(line)}\n`))
      const ended = (end: () => void) => {
        if (!isOpen) return
        leave()
        end()
      }
      if (draining.progress) say(draining.progress)
      const unsubscribe = draining.subscribe(say)
      leave = () => {
        isOpen = false
        unsubscribe()
      }
      draining.done.then(
        drained =>
          ended(() => {
            say(endOf(drained))
            controller.close()
          }),
        error => ended(() => controller.error(error)),
      )
    },
    cancel: () => leave(),
  })
}
