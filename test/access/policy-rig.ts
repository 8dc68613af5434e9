import * as assert from 'uvu/assert'
import { policySet } from '../../src/access/policy/methods.ts'
import { createPolicies, type Policies } from '../../src/access/policy/policies.ts'
import { operatorPolicy, type PolicyInput } from '../../src/access/policy/rules.ts'
import { createActorSystem } from '../../src/actor/system.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import { memoryLogStore } from '../../src/adapters/memory-log-store.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { createDocuments } from '../../src/document/create-documents.ts'
import type { MethodSpec } from '../../src/federation/command.ts'
import { EvidenceArchive } from '../../src/federation/evidence-archive.ts'
import { formatManifest, nextManifest, rootFingerprint } from '../../src/federation/manifest.ts'
import { createTrust } from '../../src/federation/trust.ts'
import type { SubscriberRight } from '../../src/ports/key-source.ts'
import type { ServerId } from '../../src/ports/names.ts'
import { testOperator } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { crypto } from './rig.ts'

export const operator = testOperator('a.example', 2)
export const [here, there] = operator.servers.map(({ id }) => id) as [ServerId, ServerId]
const rights: Readonly<Record<string, SubscriberRight[]>> = {
  admin: ['provision'],
  alice: ['provision'],
  fire: ['emergency'],
  bob: [],
}

/** One server with its documents in memory, a manifest that says where clients reach each server, and a partner. */
export async function policiesAt(ends: (() => unknown)[]) {
  const telemetry = new RecordingTelemetry()
  const clock = systemClock()
  const random = systemRandom()
  const store = memoryLogStore()
  const actors = createActorSystem({ clock, random })
  const [server] = operator.servers
  assert.ok(server)
  const { identity } = server
  const manifest = nextManifest(
    operator.manifest(),
    {
      servers: operator.servers.map(({ id }, index) => ({
        peerId: id,
        addresses: [],
        clientUrls: [`wss://c${index + 1}.a.example`],
      })),
    },
    [operator.rootKey],
    crypto,
    Date.now(),
  )
  const partner = testOperator('b.example')
  const pins = new Map([[partner.id, rootFingerprint(partner.manifest().manifest, crypto)]])
  const evidence = new EvidenceArchive({ store, crypto, telemetry })
  const trust = await createTrust({ own: formatManifest(manifest), pins, store, evidence, crypto, clock, telemetry })
  await trust.offer([formatManifest(partner.manifest())], 'test')
  const documents = createDocuments({
    ...{ operator: operator.id, identity, actors, store, crypto, clock, random, telemetry },
    authorship: trust,
  })
  const keys = {
    find: async (name: string) =>
      rights[name] && { identity: name, credential: { kind: 'x509' } as const, rights: rights[name] },
  }
  const policies = createPolicies({ identity, documents, trust, keys, crypto, telemetry })
  await policies.start()
  ends.push(async () => {
    policies.stop()
    trust.stop()
    await actors.drain()
    await store.close()
  })
  return { policies, documents, trust, manifest, telemetry }
}

export async function ask<P, R>(
  policies: Policies,
  spec: MethodSpec<P, R>,
  params: P,
  as = 'admin',
  of = operator.id,
): Promise<R> {
  const found = policies.commands.find(each => each.spec.method === spec.method)
  assert.ok(found)
  return spec.result.parse(await found.execute(spec.params.parse(params), { operator: of, identity: as }))
}

let commands = 0
export const set = (policies: Policies, policy: PolicyInput, more: { expectedStamp?: number } = {}, as = 'admin') =>
  ask(
    policies,
    policySet,
    { commandId: `policy-test-${++commands}-0000`, policy: operatorPolicy.parse(policy), ...more },
    as,
  )
