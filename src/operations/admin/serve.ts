import type { FastifyInstance } from 'fastify'
import { base64url } from 'multiformats/bases/base64'
import { tokensIn } from '../../adapters/admin-tokens.ts'
import { auditFile } from '../../adapters/audit-file.ts'
import { protectSocket, removeStaleSocket, socketPath } from '../../adapters/control-socket.ts'
import { isLoopback } from '../../adapters/loopback.ts'
import { ListenRefused } from '../../ports/client-sockets.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import { adminApp } from './app.ts'
import { recording } from './audit.ts'
import { ownerGuard, tokenGuard } from './guard.ts'
import type { Route } from './route.ts'

/*
 * The admin API: the same routes over the socket in the data folder, for the node's owner on this machine, and, if the operator wants
 * it, over TCP for whoever has a token.
 */

export interface AdminServer {
  /** Where it listens for TCP; `undefined` if it does not. */
  readonly url: string | undefined
  stop(): Promise<void>
}

export interface AdminPlace {
  readonly socket: string
  /** `host:port`, an address of IPv6 in brackets; port 0 takes any that is free. Absent: only the socket. */
  readonly listen?: string
  readonly tokens: string
  readonly audit: string
}

/**
 * Serves. To be called when the store of the same folder is open.
 * @throws {NodeNotReached} when the socket's path is too long; {@link ListenRefused} when the port cannot be had
 */
export async function serveAdmin(of: {
  readonly routes: readonly Route[]
  readonly at: AdminPlace
  readonly clock: Pick<Clock, 'now' | 'after'>
  readonly random: Pick<Random, 'bytes'>
  readonly telemetry: Telemetry
}): Promise<AdminServer> {
  const { routes, at, clock, random, telemetry } = of
  const audit = auditFile(at.audit, clock.now)
  const newRequest = () => base64url.baseEncode(random.bytes(6))
  const recordedWith = (withoutRecord: 'done' | 'refused') => recording({ audit, telemetry, newRequest, withoutRecord })
  const onSocket = await adminApp({ routes, guard: ownerGuard, recorded: recordedWith('done'), clock, telemetry })
  const tokens = tokensIn(at.tokens, clock.now)
  const onTcp =
    at.listen === undefined
      ? undefined
      : await adminApp({ routes, guard: tokenGuard(tokens), recorded: recordedWith('refused'), clock, telemetry })

  const path = socketPath(at.socket)
  await removeStaleSocket(path)
  await onSocket.listen({ path })
  try {
    await protectSocket(path)
    const url = onTcp && at.listen !== undefined ? await listenOn(onTcp, at.listen, telemetry) : undefined
    return {
      url,
      async stop() {
        await onTcp?.close()
        await onSocket.close()
      },
    }
  } catch (error) {
    await onSocket.close()
    throw error
  }
}

/** @throws {ListenRefused} */
async function listenOn(app: FastifyInstance, listen: string, telemetry: Telemetry): Promise<string> {
  const { hostname, port } = new URL(`http://${listen}`)
  const host = hostname.replace(/^\[|\]$/g, '')
  if (host !== 'localhost' && !isLoopback(host)) {
    telemetry.log('warn', 'admin.exposed', {
      listen,
      message: 'The admin API is plain HTTP: beyond this machine, put a proxy that terminates TLS in front of it.',
    })
  }
  try {
    return await app.listen({ host, port: Number(port || 80) })
  } catch (error) {
    await app.close()
    throw new ListenRefused(
      `The admin API cannot listen at ${listen}: ${error instanceof Error ? error.message : error}. Change admin.listen, or end what listens there.`,
    )
  }
}
