import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { webPushSender } from '../../src/adapters/web-push.ts'
import type { PushOutcome } from '../../src/ports/push.ts'
import { SimulatedPush } from '../../src/simulation/push.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { type Answer, pushContract } from '../ports/push.contract.ts'
import { pushService } from './push-service.ts'

/* Every way to push keeps the contract: over HTTP to a push service, and simulated. */

pushContract('over HTTP', async () => {
  const service = await pushService()
  const push = webPushSender({ contact: 'mailto:postmaster@a.example', loopback: true })
  const headers: Readonly<Record<Answer, readonly [number, Record<string, string>] | undefined>> = {
    taken: undefined,
    gone: [410, {}],
    busy: [500, {}],
    'busy-for-7s': [429, { 'retry-after': '7' }],
    refused: [413, {}],
  }
  return {
    push,
    async subscribe(senderKey) {
      const device = service.subscribe(senderKey)
      return {
        subscription: device.subscription,
        received: device.received,
        answer(answer) {
          const said = headers[answer]
          device.behave = said && ((_, response) => response.writeHead(...said).end())
        },
      }
    },
    async stop() {
      push.close()
      await service.stop()
    },
  }
})

pushContract('simulated', async () => {
  const clock = new ManualClock()
  const push = new SimulatedPush({ clock, crypto: nodeCrypto(), random: seededRandom('push'), delayMs: 20 })
  const outcomes: Readonly<Record<Answer, PushOutcome>> = {
    taken: { kind: 'delivered' },
    gone: { kind: 'gone' },
    busy: { kind: 'retry', reason: 'busy' },
    'busy-for-7s': { kind: 'retry', reason: 'busy', afterMs: 7_000 },
    refused: { kind: 'refused', reason: 'status' },
  }
  return {
    push: {
      senderKey: secret => push.senderKey(secret),
      objection: endpoint => push.objection(endpoint),
      async send(message) {
        const outcome = push.send(message)
        clock.advance(20)
        return outcome
      },
    },
    async subscribe(senderKey) {
      const device = push.subscribe(senderKey)
      return {
        subscription: device.subscription,
        received: device.received,
        answer(answer) {
          device.answer = outcomes[answer]
        },
      }
    },
    stop: async () => {},
  }
})
