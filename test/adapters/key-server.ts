import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type HttpKeySource, type HttpKeySourceOptions, httpKeySource } from '../../src/adapters/http-key-source.ts'
import { recordOf } from '../../src/adapters/subscriber-record.ts'
import type { Subscriber } from '../../src/ports/key-source.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'

/*
 * An operator's own key server, on a real port: it answers as it should, to whoever brings its token, until it is told to
 * misbehave.
 */

type Misbehaviour = (request: IncomingMessage, response: ServerResponse) => unknown

export interface KeyServer {
  readonly url: string
  readonly folder: string
  /** Holds the token that the server asks for. */
  readonly tokenFile: string
  /** The paths that were asked for, in order. */
  readonly asked: string[]
  misbehave: Misbehaviour | undefined
  add(subscriber: Subscriber): void
  remove(identity: string): void
  stop(): Promise<void>
}

export const token = 'marker-token-0123456789'

export async function keyServer(tls?: ServerOptions): Promise<KeyServer> {
  const { path: folder, remove } = await temporaryFolder()
  const tokenFile = join(folder, 'token')
  await writeFile(tokenFile, `${token}\n`, { mode: 0o600 })
  const subscribers = new Map<string, Subscriber>()

  function answer(request: IncomingMessage, response: ServerResponse): void {
    keys.asked.push(request.url ?? '')
    if (keys.misbehave) {
      keys.misbehave(request, response)
      return
    }
    const [, prefix, kind, name] = (request.url ?? '').split('/')
    if (request.headers.authorization !== `Bearer ${token}` && !tls) response.writeHead(401).end()
    else if (request.method !== 'GET' || prefix !== 'v1' || kind !== 'subscribers') response.writeHead(400).end()
    else {
      const found = subscribers.get(decodeURIComponent(name ?? ''))
      if (found) response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(recordOf(found)))
      else response.writeHead(404).end()
    }
  }

  const server: Server = tls ? createTlsServer(tls, answer) : createServer(answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const keys: KeyServer = {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}/v1/`,
    folder,
    tokenFile,
    asked: [],
    misbehave: undefined,
    add: subscriber => subscribers.set(subscriber.identity, subscriber),
    remove: identity => subscribers.delete(identity),
    async stop() {
      const stopped = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await stopped
      await remove()
    },
  }
  return keys
}

export const sourceOf = (
  server: Pick<KeyServer, 'url' | 'tokenFile'>,
  options: Partial<HttpKeySourceOptions> = {},
): Promise<HttpKeySource> =>
  httpKeySource({
    url: server.url,
    tokenFile: server.tokenFile,
    timeoutMs: 60_000,
    ttlMs: 60_000,
    negativeTtlMs: 5_000,
    staleMs: 600_000,
    clock: new ManualClock(),
    telemetry: new RecordingTelemetry(),
    ...options,
  })
