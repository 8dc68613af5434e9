import { executeDurably } from '../commands/durably.ts'
import type {
  ClientConnection,
  Command,
  CommandOptions,
  MethodSpec,
  NotificationSpec,
  Principal,
} from '../federation/command.ts'
import type { CommandProof, Federation } from '../federation/federation.ts'
import { openRpc } from './openrpc.ts'
import {
  documentClose,
  documentOpen,
  rpcDiscover,
  sessionAuthenticate,
  sessionPing,
  sessionTicket,
} from './protocol.ts'
import type { SessionDocuments } from './session-documents.ts'

/** On whose behalf a method is called. */
export interface Caller {
  readonly principal: Principal
  readonly documents: SessionDocuments
  readonly connection: ClientConnection
  /** Sets how often the client will be heard. Answers how often it hears the server at least. */
  readonly pace: (everyMs: number | undefined) => number
  /** The client's own proof of this command, if it gave one. */
  readonly proof?: CommandProof
  /** What else it says of the command. */
  readonly options?: CommandOptions
}

export interface SessionMethod {
  readonly spec: MethodSpec
  /** Whether a client may add the parameters that all commands have: `commandProof` and others. */
  readonly isCommand?: boolean
  /** `params` have passed the schema. @throws {CommandRefused} */
  execute(params: unknown, caller: Caller): Promise<unknown>
}

/** Every method that a session answers, by name; `session.authenticate` comes before there is one. */
export type MethodTable = ReadonlyMap<string, SessionMethod>

export interface Service {
  readonly methods: MethodTable
  /** What `rpc.discover` answers, with or without authentication. */
  description(): object
}

export function createService(
  commands: readonly Command[],
  notifications: readonly NotificationSpec<unknown>[],
  federation: Pick<Federation, 'replicated'>,
): Service {
  // Made when it is first asked for: it takes longer than all else that a server does to begin.
  let made: ReturnType<typeof openRpc> | undefined
  const description = () => {
    made ??= openRpc(
      commands.map(command => command.spec),
      notifications,
      new Set(commands.flatMap(({ spec, concern }) => (concern ? [spec.method] : []))),
    )
    return made
  }
  const own = [
    method(sessionPing, async ({ everyMs }, { pace }) => ({ aliveEveryMs: pace(everyMs) })),
    method(sessionTicket, ({ document }, { documents, principal }) => documents.ticket(document, principal)),
    method(documentOpen, ({ document }, { documents, principal }) => documents.open(document, principal)),
    method(documentClose, async ({ channel }, { documents }) => documents.close(channel)),
    method(rpcDiscover, async () => description()),
  ]
  const all = [...own, ...commands.map(command => ofCommand(command, federation))]
  const methods = new Map(all.map(method => [method.spec.method, method]))
  if (methods.size < all.length || methods.has(sessionAuthenticate.method)) {
    throw new Error('Two commands have the same method name.')
  }
  return { methods, description }
}

function method<P, R>(
  spec: MethodSpec<P, R>,
  execute: (params: P, caller: Caller) => Promise<R>,
): { readonly spec: MethodSpec; execute(params: P, caller: Caller): Promise<R> } {
  return { spec, execute }
}

const ofCommand = (command: Command, federation: Pick<Federation, 'replicated'>): SessionMethod => ({
  spec: command.spec,
  isCommand: true,
  execute: (params, { principal, proof, options, connection }) =>
    executeDurably(command, params, { principal, proof, options: { ...options, connection } }, federation),
})
