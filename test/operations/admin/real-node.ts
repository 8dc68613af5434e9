import { join } from 'node:path'
import { createToken, type TokenScope } from '../../../src/adapters/admin-tokens.ts'
import { nodeCrypto } from '../../../src/adapters/crypto.ts'
import { addSubscriber } from '../../../src/adapters/subscriber-store.ts'
import { initCommand } from '../../../src/cli/init.ts'
import { openNodeFolder } from '../../../src/cli/node-folder.ts'
import { peerCommand } from '../../../src/cli/peer.ts'
import { trustFiles } from '../../../src/cli/peer-trust.ts'
import { connect } from '../../../src/client/node.ts'
import { adminTokensPath } from '../../../src/operations/control-path.ts'
import { type LaunchOptions, launch, type RunningNode } from '../../../src/operations/launch.ts'
import { trustKeptIn } from '../../../src/operations/trust-files.ts'
import { temporaryFolder } from '../../fixtures/temporary-folder.ts'

export const ownerKey = new Uint8Array(32).fill(7)

/**
 * A node of a new operator in this process, as `cpns init` and `cpns start` make it, on ports that are free. It has a subscriber `owner`
 * with {@link ownerKey}: `await using`.
 */
export async function realNode(
  options: LaunchOptions & {
    readonly settings?: Readonly<Record<string, string>>
    /** Another operator that it trusts, and that is not there. */
    readonly trusts?: string
    /** Part of another program, which has its settings otherwise than in files. */
    readonly isEmbedded?: true
  } = {},
) {
  const folder = await temporaryFolder()
  const [at, other] = [join(folder.path, 'a'), join(folder.path, 'b')]
  const { trusts } = options
  await silently(async () => {
    await initCommand().parseAsync([at, '--operator', 'a.example'], { from: 'user' })
    if (trusts === undefined) return
    await initCommand().parseAsync([other, '--operator', trusts], { from: 'user' })
    const trust = ['trust', join(other, 'manifest.json'), '--config', join(at, 'cpns.toml')]
    await peerCommand().parseAsync(trust, { from: 'user' })
  })
  const files = { store: join(at, 'subscribers.json'), key: join(at, 'keys/subscribers.key') }
  await addSubscriber(files, { identity: 'owner', credential: { kind: 'psk', key: ownerKey } })
  const settings = {
    'peers.listen': '/ip4/127.0.0.1/tcp/0',
    'clients.port': '0',
    'admin.listen': '127.0.0.1:0',
    'log.level': 'error',
    // A machine that is busy with other tests turns nobody away.
    'load.controlled': 'false',
    ...options.settings,
  }
  const nodeFolder = await openNodeFolder(join(at, 'cpns.toml'), settings)
  const { configuration, at: pathAt } = nodeFolder
  const reread = async () => (await openNodeFolder(nodeFolder.configFile, settings)).configuration
  const keptTrust = trustKeptIn(trustFiles(nodeFolder), reread, nodeCrypto())
  const node: RunningNode = await launch(configuration, pathAt, {
    ...(!options.isEmbedded && { keptTrust, reread }),
    ...options,
  })
  await node.ready
  const connectOwner = () =>
    connect({
      urls: [node.clientUrl()],
      servers: [node.federation.server],
      operator: node.federation.operator,
      identity: 'owner',
      credential: { kind: 'psk', key: ownerKey },
      reconnect: false,
    })
  /** Asks the admin API over TCP, as whoever has a token of this scope. */
  const admin = async (scope: TokenScope) => {
    const name = `test-${scope}-${++tokens}`
    const { text } = await createToken(
      adminTokensPath(configuration, pathAt),
      { name, scope, lifetimeMs: 600_000 },
      Date.now(),
    )
    return (target: string, init: RequestInit = {}) =>
      fetch(`${node.adminUrl}${target}`, { ...init, headers: { ...init.headers, authorization: `Bearer ${text}` } })
  }
  const end = () => node.stop().then(folder.remove)
  return {
    node,
    connectOwner,
    admin,
    folder: at,
    at: pathAt,
    configuration,
    settings,
    end,
    [Symbol.asyncDispose]: end,
  }
}

let tokens = 0

/** What a command prints is not of this test. */
async function silently(work: () => Promise<unknown>): Promise<void> {
  const { log } = console
  console.log = () => {}
  try {
    await work()
  } finally {
    console.log = log
  }
}
