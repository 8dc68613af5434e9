/*
 * Proves: a gateway that has admitted a PNE does not take that back because the PNE's operator has not heard of it yet: the
 * request is repeated as it was, and the admission stands as long as it stays open what becomes of it.
 * Fails if a registration that is too early costs the PNE its place, or is given up at once.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { webCrypto } from '../../src/adapters/browser/crypto.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import type { LocalInventories } from '../../src/client/local-inventories.ts'
import { createRegistrationRelay } from '../../src/client/registration-relay.ts'
import type { Uplink } from '../../src/client/uplink.ts'
import type { MethodSpec } from '../../src/federation/command.ts'
import { pneRegister, pnInventory, pnUpdate } from '../../src/inventory/methods.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { operatorId } from '../../src/ports/names.ts'

const operator = operatorId('a.example')
const shown = pneRegister.example?.params

/** Nobody waits here: what is to come later comes at once. */
const hurried: Clock = {
  now: () => 0,
  elapsed: () => 0,
  after(_, callback) {
    queueMicrotask(callback)
    return () => {}
  },
}

/** A server at which the PNE's operator answers "not yet" so many times. */
function relayTo(notYet: number) {
  const called: { readonly method: string; readonly params: unknown }[] = []
  let tooEarly = notYet
  const answers: Record<string, () => unknown> = {
    [pnInventory.method]: () => ({
      ...Object(pnInventory.example?.result),
      gateways: [{ gatewayId: 'hub', operator, identity: 'alice', since: 0, priority: 0, active: true }],
      members: [],
    }),
    [pnUpdate.method]: () => ({ version: 'next' }),
    [pneRegister.method]() {
      if (tooEarly-- <= 0) return { status: 201, sealed: 'AAAA' }
      const refusal = { status: 503, reason: 'NOT_YET', message: 'Send it again.', retryAfterMs: 1 }
      throw new RequestRefused(pneRegister.method, refusal)
    },
  }
  const uplink: Uplink = {
    isOpen: true,
    async call<P, R>({ method, result }: MethodSpec<P, R>, params: P): Promise<R> {
      called.push({ method, params })
      return result.parse(answers[method]?.())
    },
  }
  const inventories: LocalInventories = { get: () => undefined, all: () => [], learn() {}, forget() {} }
  const relay = createRegistrationRelay({
    ...{ uplink, inventories, crypto: webCrypto(), clock: hurried, gatewayId: 'hub', operator },
    admits: () => true,
    onEvent() {},
  })
  return { called, register: () => relay.register(pneRegister.params.parse(shown)) }
}

const methods = (called: readonly { readonly method: string }[]) => called.map(({ method }) => method)

test('what comes too early is sent again, as it was', async () => {
  const { called, register } = relayTo(2)
  assert.is((await register()).status, 201)
  const sent = called.filter(({ method }) => method === pneRegister.method)
  assert.is(sent.length, 3)
  assert.equal(sent[2]?.params, sent[0]?.params)
  assert.is(methods(called).filter(method => method === pnUpdate.method).length, 1, 'it was admitted once')
})

test('what stays too early is told to the PNE, which keeps its place', async () => {
  const { called, register } = relayTo(Number.POSITIVE_INFINITY)
  const error = await register().catch((error: unknown) => error)
  assert.instance(error, RequestRefused)
  assert.is((error as RequestRefused).reason, 'NOT_YET')
  assert.is(methods(called).filter(method => method === pnUpdate.method).length, 1, 'and not removed')
})

test.run()
