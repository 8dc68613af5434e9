import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type CuttableLink, cuttableLink, freePort } from './cuttable-link.ts'
import { cpns } from './server-process.ts'

/** A server's folder, made by `cpns init`, whose peers reach it through a link that can be cut. */
export interface ServerFolder {
  readonly operator: string
  readonly folder: string
  /** Its `cpns.toml`. */
  readonly config: string
  /** Its operator's manifest. */
  readonly manifest: string
  /** Pinned by whoever trusts the operator. */
  readonly fingerprint: string
  readonly serverId: string
  /** The only way from other servers to this one. */
  readonly link: CuttableLink
}

interface Ports {
  readonly peer: number
  readonly announced: number
}

/**
 * The folder of a server on loopback, new or as an earlier run left it.
 * @param founder a server of the same operator, to join; without it the operator is founded
 */
export async function serverFolder(folder: string, operator: string, founder?: ServerFolder): Promise<ServerFolder> {
  const portsFile = join(folder, 'ports.json')
  const config = join(folder, 'cpns.toml')
  const isNew = !existsSync(portsFile)
  const known: Ports | undefined = isNew ? undefined : JSON.parse(await readFile(portsFile, 'utf8'))
  const peer = known?.peer ?? (await freePort())
  const link = await cuttableLink(peer, known?.announced)
  if (isNew) {
    const listen = ['--listen', `/ip4/127.0.0.1/tcp/${peer}`, '--announce', `/ip4/127.0.0.1/tcp/${link.port}`]
    const clients = ['--client-port', String(await freePort())]
    const join = founder ? ['--join', founder.fingerprint] : []
    await cpns('init', folder, '--operator', operator, ...listen, ...clients, ...join)
    if (founder) await joinOperator(folder, founder)
    await writeFile(portsFile, JSON.stringify({ peer, announced: link.port } satisfies Ports))
  }
  const card = JSON.parse(await readFile(join(folder, 'server.json'), 'utf8')) as { peerId: string }
  return {
    operator,
    folder,
    config,
    manifest: join(folder, 'manifest.json'),
    fingerprint: await fingerprintIn(config, operator),
    serverId: card.peerId,
    link,
  }
}

/** What an operator does for one more server: a new manifest that names it, and the shared secrets sealed to it. */
async function joinOperator(folder: string, founder: ServerFolder): Promise<void> {
  const card = join(folder, 'server.json')
  const bundle = join(folder, 'bundle.json')
  await cpns('manifest', 'sign', '--config', founder.config, '--add', card)
  await cpns('secret', 'export', '--config', founder.config, '--to', card, '--out', bundle)
  await cpns('secret', 'import', bundle, '--config', join(folder, 'cpns.toml'))
}

/** Both operators trust each other from now on. */
export async function trustEachOther(a: ServerFolder, b: ServerFolder): Promise<void> {
  await Promise.all([
    cpns('peer', 'trust', b.manifest, '--config', a.config),
    cpns('peer', 'trust', a.manifest, '--config', b.config),
  ])
}

/** Adds a subscriber with a generated pre-shared key, which is returned: base64url. */
export async function addSubscriber(server: ServerFolder, identity: string): Promise<string> {
  const printed = await cpns('subscriber', 'add', identity, '--psk', '--config', server.config)
  return (JSON.parse(printed) as { psk: string }).psk
}

/** Pages of this origin, and of no other, may connect to the server, from its next start on. */
export async function letPagesIn({ config }: ServerFolder, origin: string): Promise<void> {
  const text = await readFile(config, 'utf8')
  await writeFile(config, text.replace(/^(# )?origins = .*$/m, `origins = ["${origin}"]`))
}

async function fingerprintIn(config: string, operator: string): Promise<string> {
  const text = await readFile(config, 'utf8')
  const [, fingerprint] = new RegExp(`^"${operator.replaceAll('.', '\\.')}" = "([^"]+)"`, 'm').exec(text) ?? []
  if (!fingerprint) throw new Error(`${config} does not pin ${operator}.`)
  return fingerprint
}
