import { type FastifyError, type FastifyInstance, type FastifyRequest, fastify } from 'fastify'
import { turn } from '../../adapters/turn.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import type { Recorded } from './audit.ts'
import { type Guard, suffices } from './guard.ts'
import { AdminRefusal } from './refusal.ts'
import type { Payload, Principal, Route } from './route.ts'
import { whilePermitted } from './while-permitted.ts'

/*
 * Serves routes over HTTP behind a guard. First it is found out who asks and whether they may, before their body is read; then what they
 * ask is checked; what changes something is recorded, done, and recorded with its outcome. Whoever has asked for a change hears how it
 * went also when the server ends meanwhile, as it does after a drain. An answer that goes on ends when they may not ask any more.
 */

const defaultBodyBytes = 4_096
/** Whoever sends a request more slowly holds a connection for nothing. */
const requestTimeoutMs = 10_000
/** How long a server that ends waits for answers to changes to be on their way: their record is on the disk before. */
const lastAnswersMs = 5_000

/** Routes that are set up before others have their turn: clients are served by then. */
const routesAtOnce = 8

export async function adminApp(of: {
  readonly routes: readonly Route[]
  readonly guard: Guard
  /** Records requests that change something. */
  readonly recorded: Recorded
  readonly clock: Pick<Clock, 'after'>
  readonly telemetry: Telemetry
}): Promise<FastifyInstance> {
  const { routes, guard, recorded, clock, telemetry } = of
  const app = fastify({
    logger: false,
    bodyLimit: defaultBodyBytes,
    requestTimeout: requestTimeoutMs,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
  })
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  })
  answerChangesBeforeClosing(app, clock)
  for (const [at, route] of routes.entries()) {
    if (at % routesAtOnce === 0) await turn()
    serve(app, route, { guard, recorded, clock })
  }
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ message: `There is no ${request.method} ${request.url} here.` }),
  )
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const status = error instanceof AdminRefusal ? error.status : (error.statusCode ?? 500)
    telemetry.count('cpns_admin_refused_total', { status: String(status) })
    if (status === 401) reply.header('www-authenticate', 'Bearer')
    if (error instanceof AdminRefusal || status < 500) return reply.code(status).send({ message: error.message })
    telemetry.log('error', 'admin.failed', {
      method: request.method,
      path: request.routeOptions.url,
      message: error.message,
    })
    return reply.code(500).send({ message: 'The node failed at this; its log says why (admin.failed).' })
  })
  return app
}

function answerChangesBeforeClosing(app: FastifyInstance, clock: Pick<Clock, 'after'>): void {
  const underWay = new Set<Promise<void>>()
  app.addHook('onRequest', async ({ method }, { raw }) => {
    if (method === 'GET') return
    const answered = new Promise<void>(resolve => raw.once('close', resolve))
    underWay.add(answered)
    void answered.then(() => underWay.delete(answered))
  })
  app.addHook('preClose', async () => {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const cancel = clock.after(lastAnswersMs, resolve)
    await Promise.race([Promise.all(underWay), late])
    cancel()
  })
}

function serve(
  app: FastifyInstance,
  route: Route,
  {
    guard,
    recorded,
    clock,
  }: { readonly guard: Guard; readonly recorded: Recorded; readonly clock: Pick<Clock, 'after'> },
): void {
  const { method, path, scope, maxBodyBytes = defaultBodyBytes } = route
  const principals = new WeakMap<FastifyRequest, Principal>()
  const actOf = (request: FastifyRequest, by: Principal) => ({
    ...{ method, by: by.name, from: request.ip || 'socket' },
    path: request.url,
  })
  const lasting = (payload: Payload, request: FastifyRequest): Payload => {
    if (!(payload instanceof ReadableStream) || scope === 'open') return payload
    const mayStill = async () => void (await guard(request.headers.authorization))
    return whilePermitted(payload, mayStill, clock)
  }

  app.route({
    method,
    url: path,
    bodyLimit: maxBodyBytes,
    async onRequest(request) {
      if (scope === 'open') return
      const by = await guard(request.headers.authorization)
      principals.set(request, by)
      if (suffices(by.scope, scope)) return
      const refuse = async (): Promise<never> => {
        throw new AdminRefusal(403, `This takes a token with the scope ${scope}; yours has ${by.scope}.`)
      }
      await (method === 'GET' ? refuse() : recorded(actOf(request, by), refuse))
    },
    async handler(request, reply) {
      const by = principals.get(request)
      const { params, query, body } = request
      const work = () => route.serve({ params, query, body, by })
      const served = await (method === 'GET' || !by ? work() : recorded(actOf(request, by), work))
      return reply.code(served.status).headers(served.headers).send(lasting(served.payload, request))
    },
  })
}
