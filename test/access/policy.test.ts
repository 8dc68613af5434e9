/*
 * Proves: an operator says its policy once, at any of its servers, and all of them serve it, signed; clients learn that there
 * is another one, and cannot be given one that was changed; nobody else says it, and it names no server that the manifests do
 * not; where a client is sent follows from it. It fails if a policy is lost, mixed from two, or obeyed in part.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Candidate, chooseTarget, reportStaleMs } from '../../src/access/load/targets.ts'
import { policyChanged, policyGet, policyShow } from '../../src/access/policy/methods.ts'
import type { ClassRules } from '../../src/access/policy/rules.ts'
import {
  comparePolicies,
  type PolicyVersion,
  policyBytes,
  type SignedPolicy,
  servedPolicy,
} from '../../src/access/policy/served-policy.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import { fromBase64url } from '../../src/commands/framing.ts'
import { documentId } from '../../src/document/names.ts'
import { CommandRefused } from '../../src/federation/command.ts'
import { formatManifest, nextManifest } from '../../src/federation/manifest.ts'
import { signedBytes } from '../../src/ports/identity.ts'
import { operatorId, publicKeyOf, type ServerId } from '../../src/ports/names.ts'
import { SimulatedLoadProbe } from '../../src/simulation/load-probe.ts'
import { testOperator } from '../fixtures/operators.ts'
import { until } from '../fixtures/until.ts'
import { ask, here, operator, policiesAt, set, there } from './policy-rig.ts'
import { authenticateAt, crypto, sessionAt, startRig } from './rig.ts'

const test = suite('Policy')
const ends: (() => unknown)[] = []
test.after.each(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
const policiesOf = () => policiesAt(ends)

async function causeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof CommandRefused) return `${error.status} ${error.reason}`
    throw error
  }
  return 'not refused'
}

function verified({ text, signer, signature }: SignedPolicy) {
  const message = signedBytes('cpns-policy-v1', crypto.sha256(policyBytes(text)))
  const bytes = fromBase64url(signature) ?? new Uint8Array(0)
  assert.ok(crypto.ed25519.verify(publicKeyOf(signer), message, bytes))
  return servedPolicy.parse(JSON.parse(text))
}

test('without a word of the operator its clients use all servers of the manifest, alike', async () => {
  const { policies } = await policiesOf()
  const policy = verified(await ask(policies, policyGet, {}, 'bob'))
  assert.equal(policy.version, { stamp: 0, origin: '', manifests: 2 })
  assert.equal(
    policy.servers.map(({ server, urls, weight, order }) => [server, urls, weight, order]),
    [
      [here, ['wss://c1.a.example'], 1, 1],
      [there, ['wss://c2.a.example'], 1, 1],
    ],
  )
  assert.equal(policy.partners, [])
})

test('what is said holds at once, for each class its own, and clients are told', async () => {
  const { policies } = await policiesOf()
  let told = 0
  policies.subscribe(() => {
    told += 1
  })
  const shown = await set(policies, {
    standard: { servers: [{ server: there, weight: 3 }], hops: 1 },
    emergency: { backoff: { firstMs: 100, longestMs: 1_000 } },
  })
  assert.ok(shown.version.stamp > 0)
  assert.ok(told > 0)
  const forBob = verified(await ask(policies, policyGet, {}, 'bob'))
  assert.is(forBob.class, 'standard')
  assert.equal(forBob.version, policies.version('standard'))
  assert.equal(
    forBob.servers.map(({ server, weight }) => [server, weight]),
    [[there, 3]],
  )
  const forFire = verified(await ask(policies, policyGet, {}, 'fire'))
  assert.is(forFire.class, 'emergency')
  assert.is(forFire.servers.length, 2)
  assert.is(forFire.backoff.longestMs, 1_000)
  assert.is(policies.rules('standard').hops, 1)
  assert.equal((await ask(policies, policyShow, {})).policy.standard.hops, 1)
})

test('only who provisions says it, and nothing that the manifests do not know', async () => {
  const { policies } = await policiesOf()
  const stranger = testOperator('c.example').servers[0]?.id as ServerId
  assert.is(await causeOf(set(policies, {}, {}, 'bob')), '403 NOT_AUTHORISED')
  assert.is(await causeOf(ask(policies, policyShow, {}, 'nobody')), '403 NOT_AUTHORISED')
  assert.is(await causeOf(ask(policies, policyGet, {}, 'admin', operatorId('b.example'))), '403 NOT_AUTHORISED')
  assert.is(await causeOf(set(policies, { standard: { servers: [{ server: stranger }] } })), '400 SERVER_UNKNOWN')
  assert.is(await causeOf(set(policies, { takes: [operatorId('c.example')] })), '400 OPERATOR_UNKNOWN')
  assert.is(await causeOf(set(policies, { standard: { partners: [operator.id] } })), '400 OPERATOR_UNKNOWN')
  await set(policies, { standard: { partners: [operatorId('b.example')] } })
  assert.is(policies.version('standard').manifests, 3, 'the partner’s manifest counts too')
})

test('of two that change the same policy, the second is told; the same said twice is said once', async () => {
  const { policies } = await policiesOf()
  const first = await set(policies, { standard: { hops: 1 } }, { expectedStamp: 0 })
  const { stamp } = first.version
  assert.is(await causeOf(set(policies, { standard: { hops: 2 } }, { expectedStamp: 0 })), '409 VERSION_CONFLICT')
  assert.equal((await set(policies, { standard: { hops: 1 } }, { expectedStamp: 0 })).version.stamp, stamp)
  const next = await set(policies, { standard: { hops: 2 } }, { expectedStamp: stamp })
  assert.ok(next.version.stamp > stamp)
})

test('another manifest is another version: clients are told where the servers are now', async () => {
  const { policies, trust, manifest } = await policiesOf()
  const before = policies.version('standard')
  let told = 0
  policies.subscribe(() => {
    told += 1
  })
  const servers = manifest.manifest.servers.filter(({ peerId }) => peerId === there)
  await trust.offer(
    [formatManifest(nextManifest(manifest, { servers }, [operator.rootKey], crypto, Date.now()))],
    'test',
  )
  assert.ok(comparePolicies(policies.version('standard'), before) > 0)
  assert.is(told, 1)
  const policy = verified(await ask(policies, policyGet, {}, 'bob'))
  assert.equal(
    policy.servers.map(({ server }) => server),
    [there],
  )
})

test('a policy that another version of the program wrote changes nothing', async () => {
  const { policies, documents, telemetry } = await policiesOf()
  await set(policies, { standard: { hops: 1 } })
  await documents.write(documentId({ kind: 'policy', owner: operator.id }), () => ({
    writes: [{ key: 'policy', value: { standard: { telepathy: true } } }],
    answer: undefined,
  }))
  await until(() => telemetry.events('access.policy-unreadable').length > 0, { what: 'it is said' })
  assert.is(policies.rules('standard').hops, 1)
})

test('versions are in one order', () => {
  const version = fc.record({
    stamp: fc.integer({ min: 0, max: 3 }),
    origin: fc.constantFrom('', 'a', 'b'),
    manifests: fc.integer({ min: 0, max: 3 }),
  })
  fc.assert(
    fc.property(version, version, version, (a: PolicyVersion, b, c) => {
      assert.is(Math.sign(comparePolicies(a, b)), -Math.sign(comparePolicies(b, a)) + 0)
      assert.is(comparePolicies(a, b) === 0, JSON.stringify(a) === JSON.stringify(b))
      if (comparePolicies(a, b) <= 0 && comparePolicies(b, c) <= 0) assert.ok(comparePolicies(a, c) <= 0)
    }),
  )
})

const names = ['s1', 's2', 's3', 's4'] as ServerId[]
const candidates = fc.array(
  fc.record({
    server: fc.constantFrom(...names),
    urls: fc.constantFrom([], ['wss://x.example']),
    freeCapacity: fc.double({ min: 0, max: 1, noNaN: true }),
    reportedMs: fc.integer({ min: -2 * reportStaleMs, max: 0 }),
  }),
  { maxLength: 4 },
)
const rules = fc.record({
  allocation: fc.constantFrom('weighted' as const, 'ordered' as const),
  servers: fc.uniqueArray(
    fc.record({
      server: fc.constantFrom(...names),
      weight: fc.integer({ min: 1, max: 5 }),
      order: fc.integer({ min: 1, max: 3 }),
    }),
    { selector: ({ server }) => server },
  ),
})

test('a target is one that the policy names, freer, unvisited and heard of lately; the first in order where that is wanted', () => {
  fc.assert(
    fc.property(
      candidates,
      rules,
      fc.record({ freeCapacity: fc.double({ min: 0, max: 1, noNaN: true }), visited: fc.subarray(names) }),
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      (all: Candidate[], by: Pick<ClassRules, 'allocation' | 'servers'>, own, fraction) => {
        const orderOf = ({ server }: Candidate) =>
          by.servers.length === 0 ? 1 : by.servers.find(each => each.server === server)?.order
        const fit = all.filter(
          each =>
            each.urls.length > 0 &&
            each.freeCapacity > own.freeCapacity &&
            each.reportedMs >= -reportStaleMs &&
            !own.visited.includes(each.server) &&
            orderOf(each) !== undefined,
        )
        const chosen = chooseTarget(all, by, own, 0, fraction)
        assert.is(chosen === undefined, fit.length === 0)
        if (!chosen) return
        assert.ok(fit.includes(chosen))
        const first = Math.min(...fit.map(each => orderOf(each) ?? 0))
        if (by.allocation === 'ordered') assert.is(orderOf(chosen), first)
      },
    ),
  )
})

test('weights count beside what is free', () => {
  const free = (server: string, freeCapacity: number) => ({
    server: server as ServerId,
    urls: ['wss://x.example'],
    freeCapacity,
    reportedMs: 0,
  })
  const by = {
    allocation: 'weighted' as const,
    servers: [
      { server: 's1' as ServerId, weight: 1, order: 1 },
      { server: 's2' as ServerId, weight: 3, order: 2 },
    ],
  }
  const shares = Array.from({ length: 1_000 }, (_, index) =>
    chooseTarget([free('s1', 0.4), free('s2', 0.4)], by, { freeCapacity: 0, visited: [] }, 0, index / 1_000),
  )
  assert.is(shares.filter(chosen => chosen?.server === 's2').length, 750)
})

test('a client is told the version when it comes, and when there is another policy; from where it is not at home it is sent away for good', async () => {
  const { policies } = await policiesOf()
  const probe = new SimulatedLoadProbe()
  const rig = await startRig({
    policies,
    probe,
    federation: { reportLoad: () => {}, loads: () => new Map([[there, { usedPercent: 0, atMs: 0 }]]) },
    urlsOf: () => ['ws://127.0.0.1:9'],
  })
  ends.push(rig.stop)
  assert.equal((await authenticateAt(rig.base, 'alice')).policy, policies.version('standard'))
  const session = await sessionAt(rig.base, 'alice')
  ends.push(() => session.close())
  const heard: string[] = []
  session.listen({ notification: method => void heard.push(method) })
  await set(policies, { standard: { servers: [{ server: there }] } })
  await until(() => heard.includes(policyChanged.method), { what: 'it is told' })
  assert.is(session.state.kind, 'connected', 'who is here stays')
  probe.current = { loopDelayMs: 200, utilisation: 1, memory: 0 }
  await until(() => rig.access.monitor.level === 'overloaded', { what: 'the server is overloaded' })
  const sent = await sessionAt(rig.base, 'bob', { reconnect: false, servers: [here] }).catch(error => error)
  assert.instance(sent, RequestRefused)
  const { status, redirect } = sent as RequestRefused
  assert.equal([status, redirect?.server, redirect?.isPermanent], [307, there, true])
})

test.run()
