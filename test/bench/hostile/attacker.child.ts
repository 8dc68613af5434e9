import { setTimeout as delay } from 'node:timers/promises'
import { formatManifest } from '../../../src/federation/manifest.ts'
import type { SyncMessage } from '../../../src/federation/wire-sync.ts'
import type { ServerId } from '../../../src/ports/names.ts'
import { a, type Scene, sceneAgainst, villains } from '../../conformance/cast.ts'
import { HostileServer } from '../../conformance/hostile-server.ts'
import { obey, takeOnlyWhatIsLeft } from '../overload/child.ts'
import { type Onslaught, repertoire } from './repertoire.ts'

/*
 * The hostile operator, with servers of both orders: who is cut off is followed by the next. It would have a machine of its own;
 * here it takes what nobody else wants of this one.
 */

export type AttackerOrder =
  | { readonly what: 'prepare'; readonly target: ServerId }
  /** Before it attacks. */
  | { readonly what: 'arm'; readonly name: string }
  | { readonly what: 'attack'; readonly name: string; readonly address: string; readonly seconds: number }
  | { readonly what: 'cease' }
export interface AttackerAnswer {
  /** Of the operator, for who is to trust it. */
  readonly manifest: string
  /** The servers that have attacked: as often as they did. */
  readonly servers: readonly ServerId[]
}

const perOrder = 32
/** Between two connections, so that those alone are not what is over the quota. */
const pauseMs = 250
/** Until what was said has been read there. */
const graceMs = 300
takeOnlyWhatIsLeft()

let scene: Scene | undefined
let fleet: ReturnType<typeof villains> = { first: [], last: [] }
let arms: readonly SyncMessage[] = []
let cease = new AbortController()

obey<AttackerOrder, AttackerAnswer>(async order => {
  if (order.what === 'prepare') {
    fleet = villains(order.target, perOrder)
    scene = sceneAgainst(order.target, a, fleet)
  }
  if (order.what === 'arm') arm(order.name)
  if (order.what === 'cease') cease.abort()
  const servers = order.what === 'attack' ? await attack(order) : []
  return { manifest: scene ? formatManifest(scene.manifests[1]) : '', servers }
})

function onslaughtOf(name: string): Onslaught {
  const onslaught = repertoire.find(each => each.name === name)
  if (!onslaught) throw new Error(`There is no attack ${name}.`)
  return onslaught
}

function arm(name: string): void {
  const { order, arm } = onslaughtOf(name)
  const [next] = fleet[order]
  arms = (next && arm?.(next)) ?? []
}

async function attack(order: Extract<AttackerOrder, { what: 'attack' }>): Promise<ServerId[]> {
  const { name, address, seconds } = order
  const onslaught = onslaughtOf(name)
  if (!scene) throw new Error('Nothing is prepared.')
  cease = new AbortController()
  const over = AbortSignal.any([AbortSignal.timeout(seconds * 1000), cease.signal])
  const servers: ServerId[] = []
  while (!over.aborted) {
    const server = fleet[onslaught.order].shift()
    if (!server) throw new Error('The hostile operator has no servers.')
    fleet[onslaught.order].push(server)
    servers.push(server.id)
    const hostile = await HostileServer.start(server, { id: scene.target, address }, Number.POSITIVE_INFINITY)
    // Refused and cut off is what a hostile server must expect.
    const launched = onslaught.launch(scene, hostile, arms).catch(() => {})
    await Promise.race([launched, aborted(over)])
    await delay(graceMs)
    await hostile.stop()
    await delay(pauseMs)
  }
  return servers
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
