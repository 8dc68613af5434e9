import { createActorSystem } from '../../src/actor/system.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import { libp2pNetwork } from '../../src/adapters/libp2p-network.ts'
import { type MemoryDisk, memoryDisk, memoryLogStore } from '../../src/adapters/memory-log-store.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { createDocuments } from '../../src/document/create-documents.ts'
import { Authors } from '../../src/federation/authors.ts'
import { createFederation } from '../../src/federation/create-federation.ts'
import { EvidenceArchive } from '../../src/federation/evidence-archive.ts'
import { encodeManifest, formatManifest, rootFingerprint } from '../../src/federation/manifest.ts'
import { createTrust } from '../../src/federation/trust.ts'
import { createInventory } from '../../src/inventory/create-inventory.ts'
import type { OperatorSecrets } from '../../src/ports/identity.ts'
import type { TestOperator } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { callOf, crypto, keyOf } from './world.ts'

export type Manifests = ReadonlyMap<TestOperator, ReturnType<TestOperator['manifest']>>

/** One server of an operator over libp2p on loopback, on a disk that may have been used before. */
export async function startOverLibp2p(
  operator: TestOperator,
  number: number,
  port: number,
  manifests: Manifests,
  secrets: OperatorSecrets,
  disk: MemoryDisk = memoryDisk(),
) {
  const [clock, random, telemetry] = [systemClock(), systemRandom(), new RecordingTelemetry()]
  const { identity, privateKey } = operator.servers[number] as TestOperator['servers'][number]
  const store = memoryLogStore({ disk })
  const actors = createActorSystem({ clock, random })
  const others = [...manifests].filter(([other]) => other !== operator)
  const manifest = manifests.get(operator) ?? operator.manifest()
  const evidence = new EvidenceArchive({ store, crypto, telemetry })
  const trust = await createTrust({
    own: formatManifest(manifest),
    pins: new Map(others.map(([{ id }, other]) => [id, rootFingerprint(other.manifest, crypto)])),
    store,
    evidence,
    unpinned: (path, from) => authors.heard(path, from),
    crypto,
    clock,
    telemetry,
  })
  await trust.offer(
    others.map(([, other]) => encodeManifest(other)),
    'test',
  )
  const ports = { operator: operator.id, identity, store, crypto, clock, random, telemetry, actors }
  const authors: Authors = new Authors({
    ...{ trust, store, crypto, clock, telemetry },
    vouching: () => inventory.entitlement,
    documents: () => documents,
  })
  const documents = createDocuments({ ...ports, authorship: authors })
  const keys = {
    find: async (name: string) => ({
      identity: name,
      credential: { kind: 'psk' as const, key: keyOf(operator.id, name) },
    }),
  }
  const inventory = createInventory({ ...ports, documents, keys, secrets })
  const network = libp2pNetwork({
    privateKey,
    listen: [`/ip4/127.0.0.1/tcp/${port}`],
    limits: { inboundPerSecond: 1_000 },
  })
  const federation = createFederation({
    ...ports,
    trust,
    network,
    documents,
    authors,
    entitlement: inventory.entitlement,
  })
  inventory.join(federation)
  await inventory.start()
  await federation.start()
  return {
    operator: operator.id,
    fingerprint: rootFingerprint(manifest.manifest, crypto),
    federation,
    inventory,
    documents,
    telemetry,
    call: callOf(inventory, operator.id),
    async stop() {
      await federation.stop()
      inventory.stop()
      await actors.drain()
      trust.stop()
      await store.close()
    },
  }
}
