import { askNode, NodeNotReached } from '../adapters/control-socket.ts'
import { controlPath } from '../operations/control-path.ts'
import type { NodeFolder } from './node-folder.ts'
import { Refused } from './problems.ts'

type Method = Parameters<typeof askNode>[1]

/** The lines that the node of this folder answers. @throws {NodeNotReached} {@link Refused} with what it says against it */
export async function askedLines(
  { configuration, at }: Pick<NodeFolder, 'configuration' | 'at'>,
  method: Method,
  target: string,
  body?: object,
): Promise<AsyncIterable<string>> {
  const { status, lines } = await askNode(controlPath(configuration, at), method, target, body)
  if (status >= 200 && status < 300) return lines
  throw new Refused(messageIn((await Array.fromAsync(lines)).join('\n')) ?? `The node answered ${status}.`)
}

/** The one JSON text that it answers. @throws as {@link askedLines} */
export async function askedJson(...asked: Parameters<typeof askedLines>): Promise<unknown> {
  return JSON.parse((await Array.fromAsync(await askedLines(...asked))).join('\n'))
}

/** What `ask` resolves with, or `undefined` when no node runs there. */
export async function ifItRuns<T>(ask: Promise<T>): Promise<T | undefined> {
  try {
    return await ask
  } catch (error) {
    if (error instanceof NodeNotReached) return undefined
    throw error
  }
}

function messageIn(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown }
    return typeof message === 'string' ? message : undefined
  } catch {
    return undefined
  }
}
