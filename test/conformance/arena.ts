import { join } from 'node:path'
import { freePort } from '../../examples/support/cuttable-link.ts'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { libp2pNetwork } from '../../src/adapters/libp2p-network.ts'
import { type NetworkName, pnEstablish, pnGrant, pnInventory, pnUpdate, type Session } from '../../src/client/index.ts'
import type { LinkLimits } from '../../src/federation/limits.ts'
import { rootFingerprint } from '../../src/federation/manifest.ts'
import type { OperatorId } from '../../src/ports/names.ts'
import { type ClientWorld, clientWorldOf, crypto, type TestNode } from '../client/world.ts'
import { type TestServer, testOperator } from '../fixtures/operators.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { until } from '../fixtures/until.ts'
import { a, b, bobs, flat, m, type Order, type Scene, sceneAgainst, villains } from './cast.ts'
import { HostileServer } from './hostile-server.ts'
import { newCommand } from './stage.ts'
import { quotaDocuments } from './vouching.ts'

/*
 * The two honest operators with a server each, on real disks, over real libp2p, and with clients of their own; the servers of the
 * third are the test's.
 */

/** Hostile servers that speak first, and as many that do not. */
const perOrder = 32
const dayMs = 24 * 60 * 60 * 1000

/** What the honest servers wait for is short, so that a test need not wait long; yet longer than a busy machine makes them wait for each other. */
const links: Partial<LinkLimits> = {
  heartbeatMs: 500,
  silenceMs: 5_000,
  askTimeoutMs: 10_000,
  greetingTimeoutMs: 5_000,
  throttleMs: 5,
}

export interface Arena extends Scene {
  /** The one that is attacked. */
  readonly victim: TestNode
  readonly other: TestNode
  /** Another server of the hostile operator: each has its own conduct. @param order whether it speaks first with the victim */
  hostile(order: Order): Promise<HostileServer>
  /** Both servers answer their clients, and each hears of what the other one wrote. */
  serve(): Promise<void>
  stop(): Promise<void>
}

export async function openArena(): Promise<Arena> {
  const folder = await temporaryFolder()
  const ports = new Map([a, b].map(name => [testOperator(name).servers[0]?.id, 0]))
  for (const id of ports.keys()) ports.set(id, await freePort())
  const addressOf = (id: TestServer['id']) => `/ip4/127.0.0.1/tcp/${ports.get(id)}`
  const victimId = testOperator(a).servers[0]?.id
  if (!victimId) throw new Error('A test operator has a server.')
  const servers = villains(victimId, perOrder)
  const scene = sceneAgainst(victimId, a, servers)
  const world: ClientWorld = await clientWorldOf(
    {
      limits: { links, quota: { byOperator: new Map([[m, { documents: quotaDocuments }]]) } },
      addressOf,
      played: [scene.manifests[1]],
      async portsOf(operator) {
        const [server] = testOperator(operator).servers
        if (!server) throw new Error('A test operator has a server.')
        return {
          store: await openLevelLogStore(join(folder.path, operator)),
          network: libp2pNetwork({
            privateKey: server.privateKey,
            listen: [addressOf(server.id)],
            limits: { inboundPerSecond: 1_000 },
          }),
        }
      },
    },
    a,
    b,
  )
  world.ends.unshift(folder.remove)
  const [victim, other] = world.nodes
  if (!victim || !other) throw new Error('There are two.')
  await until(() => [victim, other].every(({ node }) => upLinks(node) === 1), { what: 'the two are linked' })
  const [alice, bob] = await Promise.all([victim.session('alice'), other.session('bob')])
  await share(alice, flat, { operator: b, pneId: 'bob' }, [
    { operator: b, fingerprint: other.fingerprint },
    { operator: m, fingerprint: rootFingerprint(scene.manifests[1].manifest, crypto) },
  ])
  await share(bob, bobs, { operator: a, pneId: 'alice' }, [{ operator: a, fingerprint: victim.fingerprint }])
  const running: HostileServer[] = []
  let serial = 0

  /** What one client has changed at its server another one reads at the other. */
  async function passes(writer: Session, network: NetworkName, reader: Session): Promise<void> {
    const pne = { operator: network.home, pneId: `lamp-${serial++}` }
    await writer.call(pnUpdate, { ...newCommand(), ...network, operation: 'add', pnes: [pne] })
    const isThere = async () =>
      (await reader.call(pnInventory, network)).members.some(({ pneId }) => pneId === pne.pneId)
    await until(isThere, { what: `${pne.pneId} of ${network.pnId} is shown at the other server` })
  }

  return {
    victim,
    other,
    ...scene,
    async hostile(order) {
      const server = servers[order].shift()
      if (!server) throw new Error('There are no more hostile servers: raise the number.')
      const hostile = await HostileServer.start(server, { id: victimId, address: addressOf(victimId) })
      running.push(hostile)
      return hostile
    },
    async serve() {
      await Promise.all([passes(alice, flat, bob), passes(bob, bobs, alice)])
    },
    async stop() {
      await Promise.all(running.map(each => each.stop()))
      await world.stop()
    },
  }
}

const upLinks = ({ federation }: TestNode['node']): number =>
  federation.links().filter(({ state }) => state === 'up').length

/** Establishes a PN with one member, and grants operators everything in it. */
async function share(
  owner: Session,
  network: NetworkName,
  member: { readonly operator: OperatorId; readonly pneId: string },
  grants: readonly { readonly operator: OperatorId; readonly fingerprint: string }[],
): Promise<void> {
  await owner.call(pnEstablish, { ...newCommand(), alias: 'Home', pnId: network.pnId })
  await owner.call(pnUpdate, { ...newCommand(), ...network, operation: 'add', pnes: [member] })
  for (const grant of grants) {
    const rights = ['register', 'admit', 'gateway'] as const
    await owner.call(pnGrant, {
      ...newCommand(),
      ...network,
      ...grant,
      rights: [...rights],
      expires: Date.now() + dayMs,
    })
  }
}
