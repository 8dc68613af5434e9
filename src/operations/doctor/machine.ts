import type { Host } from '../../adapters/host.ts'
import { isLoopback } from '../../adapters/loopback.ts'
import type { Configuration } from '../configuration-schema.ts'
import { type Finding, findingsOn } from './finding.ts'

/*
 * What a server needs of its machine.
 */

/** The first Node that runs TypeScript as it is; package.json says the same. */
const oldestNode = [22, 18] as const
/** A connection is a file; so is what the store has open. */
const fewestFiles = 1_024
const enoughFiles = 20_480
const leastFreeBytes = 2 ** 28
const enoughFreeBytes = 2 ** 31
/** What is acknowledged is on the disk first: this is what every write waits for at least. */
const slowSyncMs = 50
const uselessSyncMs = 1_000

export function examineNode({ nodeVersion }: Host): Finding {
  const on = findingsOn('node')
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number)
  const [oldestMajor, oldestMinor] = oldestNode
  const oldest = oldestNode.join('.')
  const isOldEnough = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)
  if (isOldEnough) return on.good(`Node ${nodeVersion}.`)
  return on.fault(
    `Node ${nodeVersion} is older than ${oldest}.`,
    'Install a later one; 24 is what this is developed on.',
  )
}

export async function examineFiles(host: Host): Promise<Finding> {
  const on = findingsOn('files')
  const limit = await host.openFilesLimit()
  if (limit === undefined) return on.good('This system does not say how many files a process may have open.')
  const found = `This process may have ${limit} files open.`
  if (limit >= enoughFiles) return on.good(found)
  const advice = `Each client is one: allow ${enoughFiles}, with LimitNOFILE of a systemd unit, or ulimit -n.`
  return limit < fewestFiles ? on.fault(found, advice) : on.warning(found, advice)
}

/** Of the folders that are written to, wherever they are. */
export async function examineDisk(
  { data, media, search }: Configuration,
  at: (path: string) => string,
  host: Host,
): Promise<Finding[]> {
  const found: Finding[] = []
  for (const folder of new Set([data, media.folder, search].map(at))) found.push(await examineFolder(folder, host))
  return [...found, await examineSync(at(data), host)]
}

async function examineFolder(folder: string, host: Host): Promise<Finding> {
  const on = findingsOn('disk')
  const freeBytes = await host.freeBytes(folder)
  const found = `${folder} has ${(freeBytes / 2 ** 30).toFixed(1)} GiB free.`
  if (freeBytes >= enoughFreeBytes) return on.good(found)
  const advice = 'Make room, or move the folder: a server whose disk is full refuses every write until there is room.'
  return freeBytes < leastFreeBytes ? on.fault(found, advice) : on.warning(found, advice)
}

async function examineSync(folder: string, host: Host): Promise<Finding> {
  const on = findingsOn('disk')
  const tookMs = await host.syncMs(folder).catch((error: unknown) => error)
  if (typeof tookMs !== 'number') {
    return on.fault(
      `${folder} cannot be written to: ${tookMs instanceof Error ? tookMs.message : tookMs}.`,
      'Give the folder to the user that the server runs as, or remount its disk for writing.',
    )
  }
  const found = `A write to ${folder} is durable after ${tookMs.toFixed(1)} ms.`
  if (tookMs < slowSyncMs) return on.good(found)
  const advice = 'Use a faster disk, or see what else writes to it: every acknowledged write waits as long.'
  return tookMs < uselessSyncMs ? on.warning(found, advice) : on.fault(found, advice)
}

const tcpAddress = /^\/(?:ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d+)/

/** Host and port of a multiaddress over TCP; `undefined` of any other. */
export function tcpOf(multiaddress: string): { readonly host: string; readonly port: number } | undefined {
  const [, host, port] = tcpAddress.exec(multiaddress) ?? []
  return host === undefined || port === undefined ? undefined : { host, port: Number(port) }
}

/** @param isRunning whether the node itself holds them now */
export async function examinePorts(
  { clients, peers, admin }: Configuration,
  host: Host,
  isRunning: boolean,
): Promise<Finding[]> {
  const listened = [
    { what: 'clients', setting: 'clients.port', host: clients.host, port: clients.port },
    ...peers.listen.flatMap(address => {
      const tcp = tcpOf(address)
      return tcp ? [{ what: 'other servers', setting: 'peers.listen', ...tcp }] : []
    }),
    ...(admin.listen === undefined
      ? []
      : [{ what: 'the admin API', setting: 'admin.listen', ...hostAndPort(admin.listen) }]),
  ]
  const ports = await Promise.all(listened.map(one => examinePort(one, host, isRunning)))
  return [...ports, ...examineExposure(admin.listen)]
}

function hostAndPort(listen: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(`http://${listen}`)
  // A URL leaves out the port that is the usual one of its scheme.
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) }
}

/** Tokens go over the admin API in plain. */
function examineExposure(listen: string | undefined): Finding[] {
  if (listen === undefined) return []
  const { host } = hostAndPort(listen)
  if (host === 'localhost' || isLoopback(host)) return []
  return [
    findingsOn('ports').warning(
      `The admin API listens at ${listen}, beyond this machine, in plain HTTP: who listens in takes the tokens.`,
      'Set admin.listen to 127.0.0.1 and a port, with a proxy that terminates TLS in front of it.',
    ),
  ]
}

async function examinePort(
  { what, setting, ...where }: { what: string; setting: string; host: string; port: number },
  host: Host,
  isRunning: boolean,
): Promise<Finding> {
  const on = findingsOn('ports')
  const place = `${where.host}:${where.port}`
  if (isRunning) {
    if (where.port === 0 || (await host.reaches(where.host, where.port)))
      return on.good(`The node listens for ${what}.`)
    return on.fault(`The node runs, and nothing listens for ${what} at ${place}.`, 'See its log, and start it again.')
  }
  const use = await host.portUse(where.host, where.port)
  if (use === 'free') return on.good(`${place} is free for ${what}.`)
  if (use === 'in use') {
    return on.fault(
      `${place}, for ${what}, is taken by another program.`,
      `Stop that one, or choose another ${setting}.`,
    )
  }
  return on.fault(
    `Nobody may listen for ${what} at ${place}.`,
    `Choose a ${setting} of this machine, from 1024 on unless the system lets you have a lower one.`,
  )
}
