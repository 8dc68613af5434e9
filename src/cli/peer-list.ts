import { join } from 'node:path'
import { systemClock } from '../adapters/clock.ts'
import { exists } from '../adapters/files.ts'
import { type PeerAnswer, peersAnswer } from '../operations/admin/peers.ts'
import { readTrusted } from '../operations/doctor/trusted.ts'
import { askedJson, ifItRuns } from './ask-node.ts'
import { openNodeFolder } from './node-folder.ts'
import { formatDay, formatTable } from './table.ts'

/** What is known of an operator that is pinned, from the files of the folder. */
interface Peer {
  readonly operator: string
  readonly fingerprint: string
  /** `missing`: nothing is known of it but the pin. */
  readonly state: 'good' | 'expired' | 'missing' | 'unusable'
  readonly seq?: number
  readonly servers?: number
  readonly expires?: number
}

/** The same with what the node that runs here knows of it, which may have a newer manifest. */
type Listed = Peer & { readonly running?: PeerAnswer }

export async function listPeers(options: { readonly config: string; readonly json?: true }): Promise<void> {
  const folder = await openNodeFolder(options.config)
  const { configuration, at } = folder
  const answer = await ifItRuns(askedJson(folder, 'GET', '/v1/peers'))
  const running = answer === undefined ? [] : peersAnswer.parse(answer).peers
  const pins = Object.entries(configuration.trust).filter(([operator]) => operator !== configuration.operator)
  const peers = await Promise.all(
    pins.map(async ([operator, fingerprint]): Promise<Listed> => {
      const peer = await known(operator, fingerprint, join(at(configuration.peers.folder), `${operator}.json`))
      const found = running.find(each => each.operator === operator)
      return found ? { ...peer, running: found } : peer
    }),
  )
  if (options.json) return console.log(JSON.stringify(peers))
  const headings = ['operator', 'manifest', 'number', 'servers', 'good until', 'root fingerprint']
  const more = answer === undefined ? [] : ['links']
  console.log(
    formatTable(
      [...headings, ...more],
      peers.map(peer => (answer === undefined ? rowOf(peer) : [...rowOf(peer), linksOf(peer)])),
      'No other operator is trusted: cpns peer trust FILE',
    ),
  )
}

async function known(operator: string, fingerprint: string, file: string): Promise<Peer> {
  if (!(await exists(file))) return { operator, fingerprint, state: 'missing' }
  try {
    const { seq, servers, expires } = (await readTrusted(file, fingerprint)).manifest
    const state = expires > systemClock().now() ? 'good' : 'expired'
    return { operator, fingerprint, state, seq, servers: servers.length, expires }
  } catch {
    return { operator, fingerprint, state: 'unusable' }
  }
}

/** What the node knows wins: it heard of every manifest since the file was written. */
function rowOf({ operator, fingerprint, running, ...file }: Listed): string[] {
  const { state, seq, servers, expires } = running?.manifest ?? file
  return [
    operator,
    running?.quarantine ? 'quarantine' : state,
    seq === undefined ? '–' : String(seq),
    servers === undefined ? '–' : String(servers),
    expires === undefined ? '–' : formatDay(expires),
    fingerprint,
  ]
}

function linksOf({ running }: Listed): string {
  if (!running) return 'unknown to the node'
  if (running.quarantine) return running.quarantine.why
  const up = running.links.filter(({ state }) => state === 'up').length
  return `${up} of ${running.manifest?.servers ?? 0} up`
}
