import { chmod, rm } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { relative } from 'node:path'

/*
 * The socket in a node's data folder by which commands on the same machine reach it: HTTP over a unix socket, for the
 * node's owner alone. Which process may listen there is settled before, by the lock of the store in the same folder.
 */

/** There is no running node behind the socket, or it does not answer as one. */
export class NodeNotReached extends Error {
  override readonly name = 'NodeNotReached'
}

export const controlSocketName = 'control.sock'

/** What fits into `sockaddr_un` on Linux, less the byte that ends it; other systems have a little less. */
const maxPathBytes = 103

/**
 * The path to listen on or connect to: relative, where the absolute one is too long for a socket.
 * @throws {NodeNotReached} when both are
 */
export function socketPath(path: string): string {
  const fit = [path, relative('.', path)].find(candidate => Buffer.byteLength(candidate) <= maxPathBytes)
  if (fit !== undefined) return fit
  throw new NodeNotReached(
    `The path ${path} is too long for a socket: at most ${maxPathBytes} bytes. Move the data folder, or start in a folder nearer to it.`,
  )
}

/** Removes what a process has left that was killed. To be called with the store open: then no other node is there. */
export const removeStaleSocket = (path: string): Promise<void> => rm(path, { force: true })

/** For its owner alone. */
export const protectSocket = (path: string): Promise<void> => chmod(path, 0o600)

export interface ControlAnswer {
  readonly status: number
  /** The body's lines as they come, each a JSON text. */
  readonly lines: AsyncIterable<string>
}

/** Asks for what is no text. @throws {NodeNotReached} when none listens there, or it ends before its answer does */
export async function askNodeForBytes(
  path: string,
  method: 'GET' | 'POST',
  target: string,
): Promise<{ readonly status: number; readonly bytes: AsyncIterable<Uint8Array> }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asking = request({ socketPath: socketPath(path), method, path: target }, resolve)
    asking.on('error', (error: NodeJS.ErrnoException) => reject(notReached(path, error)))
    asking.end()
  })
  return { status: response.statusCode ?? 0, bytes: response }
}

/** Asks the node behind the socket. @throws {NodeNotReached} when none listens there */
export function askNode(
  path: string,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  target: string,
  body?: object,
): Promise<ControlAnswer> {
  const content = body && JSON.stringify(body)
  const headers = content === undefined ? {} : { 'content-type': 'application/json' }
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath: socketPath(path), method, path: target, headers }, response => {
      resolve({ status: response.statusCode ?? 0, lines: linesOf(response.setEncoding('utf8')) })
    })
    asking.on('error', (error: NodeJS.ErrnoException) => reject(notReached(path, error)))
    asking.end(content)
  })
}

async function* linesOf(text: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = ''
  for await (const piece of text) {
    const lines = (rest + piece).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

function notReached(path: string, { code, message }: NodeJS.ErrnoException): NodeNotReached {
  if (code === 'ENOENT' || code === 'ECONNREFUSED')
    return new NodeNotReached(`No node runs there: nothing listens at ${path}. cpns start starts it.`)
  if (code === 'EACCES' || code === 'EPERM')
    return new NodeNotReached(`You may not control this node: ${path} is for its owner alone. Run this as that user.`)
  return new NodeNotReached(`The node at ${path} does not answer (${code ?? message}).`)
}
