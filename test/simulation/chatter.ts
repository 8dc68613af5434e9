import { MailboxFull } from '../../src/actor/errors.ts'
import { createActorSystem } from '../../src/actor/system.ts'
import type { ActorKind, ActorRef, ActorSystem, Message, Question } from '../../src/actor/types.ts'
import type { HostPorts } from '../../src/simulation/host.ts'
import type { World } from '../../src/simulation/world.ts'

/*
 * A workload of nothing but the actor kernel: actors that tell and ask each other, wait, fail, and are passivated, on
 * several hosts at once. It uses every way by which the kernel depends on time and chance.
 */

type Chat =
  | (Message & { readonly type: 'gossip'; readonly hops: number })
  | (Message & Question<number> & { readonly type: 'count' })

const actors = 200
const askTimeoutMs = 150
const hops = 60

function chatting(ports: HostPorts, system: () => ActorSystem): ActorKind<Chat> {
  const { random, clock } = ports
  const kind: ActorKind<Chat> = {
    name: 'chatter',
    passivation: { idleMs: 400, maxActive: 150 },
    mailbox: { capacity: 16 },
    create(key) {
      let heard = 0
      const someone = () => system().actor(kind, String(Math.floor(random.fraction() * actors)))
      const pause = (ms: number) => new Promise<void>(resolve => clock.after(ms, resolve))
      return {
        async receive(envelope, context) {
          const { message, cause } = envelope
          heard += 1
          if (message.type === 'count') {
            if (random.fraction() < 0.3) await pause(random.fraction() * 200)
            envelope.answer(heard)
            return
          }
          if (random.fraction() < 0.01) throw new Error(`${key} has had enough`)
          if (message.hops === 0) return
          const next = { type: 'gossip', hops: message.hops - 1 } as const
          if (random.fraction() < 0.2) {
            const asked = someone().ask({ type: 'count' }, { timeoutMs: askTimeoutMs, cause })
            await asked.catch(() => 0) // a timeout, a full mailbox or a cycle is part of the noise
          }
          if (random.fraction() < 0.5) context.after(random.fraction() * 50, next)
          else tell(someone(), next)
        },
      }
    },
  }
  return kind
}

/** Starts the actors of one host; what they do enters the world's trace. */
export function startChatter(world: World, name: string): ActorSystem {
  const ports = world.host(name).boot()
  const system: ActorSystem = createActorSystem({
    clock: ports.clock,
    random: ports.random,
    trace: ({ kind, actor, type, seq, cause }) => world.trace.note(kind, `${name}/${actor}`, type, seq, cause),
  })
  const kind = chatting(ports, () => system)
  for (let number = 0; number < actors; number++) tell(system.actor(kind, String(number)), { type: 'gossip', hops })
  return system
}

function tell(actor: ActorRef<Chat>, message: Chat): void {
  try {
    actor.tell(message)
  } catch (error) {
    if (!(error instanceof MailboxFull)) throw error
  }
}
