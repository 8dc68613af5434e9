import { z } from 'zod'
import type { MethodSpec } from '../federation/command.ts'
import { network, type Pne, pne } from '../inventory/fields.ts'
import type { NetworkName } from '../inventory/view.ts'
import type { GatewayStore } from '../ports/gateway-store.ts'
import type { RequestRefused } from './errors.ts'
import { createKeeper, readKept } from './keeper.ts'
import { networkKey } from './local-inventories.ts'

/*
 * Commands that wait for the gateway's server. Each is kept with its own id before anybody is told that it waits, sent in
 * the order in which it came, and forgotten when the server has decided. A gateway that dies in between sends it again as
 * it was: by its id it happens once.
 *
 * What the server cannot take at the moment holds up what came later for the same Personal Network, and nothing else.
 */

/** A command as it will be sent. */
export interface QueuedCommand {
  /** Its command id, or what else names it at the server. */
  readonly id: string
  readonly method: string
  readonly params: unknown
  readonly network: NetworkName
  /** Whom it is about. */
  readonly pne?: Pne | undefined
}

/** What came of sending one. */
export type Sent =
  | { readonly kind: 'done' }
  /** For good: it would be refused again. */
  | { readonly kind: 'refused'; readonly error: RequestRefused }
  | { readonly kind: 'later' }

export interface GatewayQueue {
  readonly waiting: readonly QueuedCommand[]
  /**
   * Resolves when the command is kept. One with the same id waits already: nothing is changed.
   * @throws {QueueFull}; whatever the store throws, and then nothing waits.
   */
  add(command: QueuedCommand): Promise<void>
  /**
   * One pass over what waits, in order. `send` is called for one command at a time. What was done or refused is forgotten,
   * durably, before the next is sent; `decided` hears of it before it is forgotten, and is called again after a crash in between.
   * @throws whatever `send`, `decided` and the store throw: the rest waits for the next pass.
   */
  drain(
    send: (command: QueuedCommand) => Promise<Sent>,
    decided: (command: QueuedCommand, sent: Sent) => void | Promise<void>,
  ): Promise<void>
}

export class QueueFull extends Error {
  override readonly name = 'QueueFull'
}

export interface GatewayQueueOptions {
  readonly store: GatewayStore
  /** The methods whose commands may wait. What the store holds of others is passed over. */
  readonly methods: readonly MethodSpec[]
  readonly maxCommands?: number
  /** Hears of kept commands that this version cannot send. They are dropped. */
  readonly dropped?: (command: unknown) => void
}

const defaultMaxCommands = 1_024

const keptSchema = z.object({ commands: z.array(z.unknown()) })
const commandSchema = z.object({
  id: z.string().min(1).max(256),
  method: z.string(),
  params: z.unknown(),
  network: z.object(network),
  pne: pne.optional(),
})

export async function openGatewayQueue(options: GatewayQueueOptions): Promise<GatewayQueue> {
  const { store, maxCommands = defaultMaxCommands, dropped = () => {} } = options
  const specs = new Map(options.methods.map(spec => [spec.method, spec]))
  const waiting: QueuedCommand[] = []
  /** Not durable yet: nothing is sent that a crash could make the gateway forget. */
  const arriving: QueuedCommand[] = []
  /** Decided, and kept until that is durable: what came later must not overtake what a crash would bring back. */
  const leaving = new Set<QueuedCommand>()
  const keeper = createKeeper(store, 'queue', () => ({
    commands: [...waiting.filter(command => !leaving.has(command)), ...arriving],
  }))

  for (const kept of (await readKept(store, 'queue', keptSchema))?.commands ?? []) {
    const command = commandSchema.safeParse(kept).data
    const params = command && specs.get(command.method)?.params.safeParse(command.params)
    if (command && params?.success) waiting.push(command)
    else dropped(kept)
  }

  /** @throws whatever the store throws: they are decided still, and forgotten before anything else is sent. */
  async function forget(): Promise<void> {
    if (leaving.size === 0) return
    const decided = [...leaving]
    await keeper.save()
    for (const command of decided) {
      take(waiting, command)
      leaving.delete(command)
    }
  }

  return {
    waiting,

    async add(command) {
      if (!specs.has(command.method)) throw new RangeError(`${command.method} is no command that may wait.`)
      const all = [...waiting, ...arriving]
      if (all.some(({ id }) => id === command.id)) return keeper.save()
      if (all.length >= maxCommands) {
        throw new QueueFull(`${maxCommands} commands wait for the server, as many as may.`)
      }
      arriving.push(command)
      try {
        await keeper.save()
        waiting.push(command)
      } finally {
        take(arriving, command)
      }
    },

    async drain(send, decided) {
      const held = new Set<string>()
      await forget()
      for (const command of [...waiting]) {
        const lane = networkKey(command.network)
        if (held.has(lane)) continue
        const sent = await send(command)
        if (sent.kind === 'later') {
          held.add(lane)
          continue
        }
        await decided(command, sent)
        leaving.add(command)
        await forget()
      }
    },
  }
}

function take(from: QueuedCommand[], command: QueuedCommand): void {
  const index = from.indexOf(command)
  if (index >= 0) from.splice(index, 1)
}
