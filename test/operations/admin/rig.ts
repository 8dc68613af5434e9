import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createToken, type TokenScope } from '../../../src/adapters/admin-tokens.ts'
import { systemClock } from '../../../src/adapters/clock.ts'
import { askNode } from '../../../src/adapters/control-socket.ts'
import { systemRandom } from '../../../src/adapters/random.ts'
import type { Drained, DrainOptions } from '../../../src/node.ts'
import { drainRoutes } from '../../../src/operations/admin/drain.ts'
import { healthRoutes } from '../../../src/operations/admin/health.ts'
import { describingRoute } from '../../../src/operations/admin/openapi.ts'
import type { Route } from '../../../src/operations/admin/route.ts'
import { serveAdmin } from '../../../src/operations/admin/serve.ts'
import { statusOf, statusRoutes } from '../../../src/operations/admin/status.ts'
import { createDraining } from '../../../src/operations/draining.ts'
import type { Clock } from '../../../src/ports/clock.ts'
import { testOperator } from '../../fixtures/operators.ts'
import { RecordingTelemetry } from '../../fixtures/recording-telemetry.ts'
import { temporaryFolder } from '../../fixtures/temporary-folder.ts'

const operator = testOperator('a.example', 1)
const scrub = { state: 'resting', rounds: 0, documents: 0, bytes: 0, damagedRecords: [] } as const
const signals = { loopDelayMs: 0, utilisation: 0, memory: 0, authenticationWaitMs: 0, commitMs: 0, connections: 0 }

/** The admin API of a node that is none, on a socket and on a port. @param more routes besides those of every node */
export async function adminRig(
  level: 'normal' | 'overloaded' = 'normal',
  more: readonly Route[] = [],
  clock: Clock = systemClock(),
) {
  const folder = await temporaryFolder()
  const socket = join(folder.path, 'control.sock')
  const tokens = join(folder.path, 'admin/tokens.json')
  const audit = join(folder.path, 'admin/audit.log')
  // What a process that was killed has left.
  await writeFile(socket, '')
  const drains: DrainOptions[] = []
  const { promise: drained, resolve: finish } = Promise.withResolvers<Drained>()
  const node = {
    status: () => ({
      level,
      signals,
      connections: 3,
      sessions: 2,
      documents: { held: 7, active: 1 },
      unshared: 1,
      damaged: 0,
      starting: undefined,
      scrub,
      links: [],
    }),
    clientUrl: () => 'ws://127.0.0.1:4680',
    drain(options: DrainOptions = {}) {
      drains.push(options)
      return drained
    },
  }
  const telemetry = new RecordingTelemetry()
  const draining = createDraining(node, telemetry)
  const server = operator.servers[0]?.id
  if (!server) throw new Error('The operator has a server.')
  const status = statusOf({ operator: operator.id, server, node, draining, clock })
  const routes = [...healthRoutes(status), ...statusRoutes(status), ...drainRoutes(draining), ...more]
  const admin = await serveAdmin({
    routes: [...routes, describingRoute(routes, '0.0.0')],
    at: { socket, listen: '127.0.0.1:0', tokens, audit },
    clock,
    random: systemRandom(),
    telemetry,
  })
  return {
    ...{ socket, tokens, audit, drains, finish, draining, telemetry },
    /** Over the socket: the lines of the answer. */
    async ask(method: 'GET' | 'POST', target: string, body?: object) {
      const { status, lines } = await askNode(socket, method, target, body)
      return { status, lines: (await Array.fromAsync(lines)).map(line => JSON.parse(line)) }
    },
    /** Over TCP, with a token or without. */
    async fetch(target: string, token?: string, init: RequestInit = {}) {
      const headers = { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...init.headers }
      return fetch(`${admin.url}${target}`, { ...init, headers })
    },
    async token(name: string, scope: TokenScope, lifetimeMs = 3_600_000): Promise<string> {
      return (await createToken(tokens, { name, scope, lifetimeMs }, clock.now())).text
    },
    end: () => admin.stop().then(folder.remove),
  }
}
