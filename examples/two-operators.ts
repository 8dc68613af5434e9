/*
 * Two operators, one Personal Network: two real servers find and authenticate each other, devices register through
 * gateways, the network between the operators is cut and healed, and both sides agree. Each server has a web console, where
 * all of it can be watched, and the network cut and healed again.
 *
 *   npm start                     the story; then it serves on until Ctrl-C
 *   npm start -- --once           ends after the story: 0 if every step was verified, 1 with the step that failed
 *   npm start -- --data DIR       keeps the data, and continues with it the next time
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import {
  connect,
  documentId,
  documentOpen,
  type Inventory,
  openGateway,
  operatorId,
  type PnGateway,
  personalNetworkElement,
  pnEstablish,
  pnGrant,
  pnInventory,
  pnUpdate,
  type Session,
  serverId,
} from '../src/client/node.ts'
import { newCommandId, subscribers } from './support/credentials.ts'
import { type ServerFolder, serverFolder, trustEachOther } from './support/operators.ts'
import { cpns, type NetworkWish, type ServerProcess, startServer } from './support/server-process.ts'
import { eventually, inventoryTable, story, tellUntilAsked } from './support/story.ts'

const { values: options } = parseArgs({
  options: { once: { type: 'boolean', default: false }, data: { type: 'string' } },
})

const A = operatorId('a.example')
const B = operatorId('b.example')
const network = { home: A, pnId: 'home' }
const documents = [
  documentId({ kind: 'pn', owner: A, pnId: network.pnId }),
  documentId({ kind: 'visit', owner: B, home: A, pnId: network.pnId }),
]
const dayMs = 24 * 60 * 60 * 1000

const folder = options.data === undefined ? await mkdtemp(join(tmpdir(), 'cpns-')) : resolve(options.data)
const told = story()
/** What has to be ended, the latest first. */
const endings: (() => unknown)[] = []

async function tell(asked: Promise<void>): Promise<void> {
  told.chapter('Two operators')
  const [a, b] = await told.step(
    'Each operator has keys, a signed manifest, and the other one’s manifest',
    async () => {
      const folders = [await serverFolder(join(folder, 'a'), A), await serverFolder(join(folder, 'b'), B)] as const
      for (const { link } of folders) endings.push(() => link.close())
      await trustEachOther(...folders)
      return folders
    },
    () => folder,
  )
  const [serverA, serverB] = await told.step(
    'A server of each starts',
    async () => {
      const wanted = (wish: NetworkWish) => each(a, b, wish)
      return [await start(a, wanted), await start(b, wanted)] as const
    },
    servers => servers.map(({ clientUrl }) => clientUrl).join(' and '),
  )
  await told.step('They find and authenticate each other', () => linked(a, serverA, b, serverB))
  const consoles = await told.step('Each has a web console, to watch all this in a browser', () =>
    Promise.all([consoleOf(a, serverA), consoleOf(b, serverB)]),
  )
  for (const { url } of consoles) told.line(url)

  told.chapter('A Personal Network at a.example')
  const owner = await told.step('Its owner connects and authenticates', () => client(a, serverA, 'owner'))
  await told.step('The network is there', () => establish(owner, b), describe)
  const gatewayA = await told.step('A gateway of a.example attaches', () => gateway(a, serverA, 'gateway-a'))
  const gatewayB = await told.step('A gateway of b.example attaches, at its own server', () =>
    eventually('gateway-b in the roster at b.example', () => attempt(gateway(b, serverB, 'gateway-b'))),
  )
  const reader = await client(b, serverB, 'gateway-b')

  told.chapter('Devices register, sealed end to end to their own operator')
  const registered = (name: string, { cpnsId }: { cpnsId: string }) => `${name} is ${cpnsId}`
  await told.step(
    'A thermostat that is a member',
    () => register(a, gatewayA, 'thermostat'),
    pne => registered('thermostat', pne),
  )
  await told.step(
    'A lamp that is not: the gateway has it added first',
    () => register(a, gatewayA, 'lamp'),
    pne => registered('lamp', pne),
  )
  await told.step(
    'A watch of b.example at the gateway of a.example: forwarded to its operator',
    () => register(b, gatewayA, 'watch'),
    pne => registered('watch', pne),
  )
  await told.step('All of them appear at b.example', () =>
    eventually('the same inventory at b.example', async () => {
      const [atA, atB] = [await view(owner), await view(reader)]
      return active(atB).length >= 3 && same(atA, atB)
    }),
  )

  told.chapter('The network between the operators is cut')
  await told.step('Every connection is severed at the socket', async () => {
    each(a, b, 'cut')
    await Promise.all([linkDown(serverA), linkDown(serverB)])
  })
  await told.step('a.example registers a camera', () => register(a, gatewayA, 'camera'))
  await told.step('b.example registers a scale', () => register(b, gatewayB, 'scale'))
  await told.step(
    'Each side shows its own',
    async () => {
      const [atA, atB] = [active(await view(owner)), active(await view(reader))]
      const [onlyA, onlyB] = [atA.filter(id => !atB.includes(id)), atB.filter(id => !atA.includes(id))]
      if (options.data === undefined && (onlyA.join() !== 'camera' || onlyB.join() !== 'scale')) {
        throw new Error(`a.example has ${atA.join(', ')}; b.example has ${atB.join(', ')}`)
      }
      return { onlyA, onlyB }
    },
    ({ onlyA, onlyB }) =>
      `only at a.example ${onlyA.join(', ') || 'nothing'}, only at b.example ${onlyB.join(', ') || 'nothing'}`,
  )

  told.chapter('The network heals')
  await told.step('Both sides have the same inventory, and documents with equal digests', async () => {
    each(a, b, 'heal')
    await eventually('convergence', async () => {
      const [atA, atB] = [await view(owner), await view(reader)]
      return active(atA).length >= 5 && same(atA, atB) && (await sameDigests(owner, reader))
    })
  })
  for (const [operator, session] of [
    [A, owner],
    [B, reader],
  ] as const) {
    const inventory = await view(session)
    told.chapter(`The inventory of “${inventory.alias}” as ${operator} has it`)
    told.line(inventoryTable(inventory))
  }
  told.chapter('The same from the console')
  const [console] = consoles
  await told.step('Its buttons cut the network, and heal it', async () => {
    const down = Promise.all([linkDown(serverA), linkDown(serverB)])
    await press(console, 'cut')
    await down
    const up = Promise.all([linkUp(serverA), linkUp(serverB)])
    await press(console, 'heal')
    await up
  })
  if (options.once) return

  told.chapter('Serving on until Ctrl-C')
  told.line(`a.example  ${serverA.clientUrl}/v1/client   gateway for PNEs ${gatewayA.url()}`)
  told.line(`b.example  ${serverB.clientUrl}/v1/client   gateway for PNEs ${gatewayB.url()}`)
  for (const { url } of consoles) told.line(`console    ${url}`)
  told.line(`credentials of owner, gateways and PNEs: ${join(folder, '*/demo-keys.json')}`)
  await asked
}

async function start(server: ServerFolder, wanted: (wish: NetworkWish) => void): Promise<ServerProcess> {
  const running = await startServer(server.config, [], { listen: '127.0.0.1:0', wanted })
  endings.push(() => running.stop())
  return running
}

/** Both logs say that the link stands, and that the other one proved to be who it should be. */
async function linked(a: ServerFolder, serverA: ServerProcess, b: ServerFolder, serverB: ServerProcess): Promise<void> {
  const up = (server: ServerProcess, peer: ServerFolder) =>
    server.seen(
      `the link to ${peer.operator}`,
      ({ event, fields }) =>
        event === 'link.up' && fields?.peer === peer.serverId && fields?.operator === peer.operator,
    )
  await Promise.all([up(serverA, b), up(serverB, a)])
}

/** What happens to the link from now on. */
function next(server: ServerProcess, event: 'link.down' | 'link.up') {
  const before = server.log.length
  return server.seen(`the next ${event}`, line => line.event === event && server.log.indexOf(line) >= before)
}
const linkDown = (server: ServerProcess) => next(server, 'link.down')
const linkUp = (server: ServerProcess) => next(server, 'link.up')

function each(a: ServerFolder, b: ServerFolder, wish: NetworkWish): void {
  for (const { link } of [a, b]) link[wish]()
}

interface Console {
  readonly adminUrl: string
  readonly token: string
  /** Opens it; what is behind the `#` a browser sends to nobody. */
  readonly url: string
}

async function consoleOf({ config }: ServerFolder, { adminUrl = '' }: ServerProcess): Promise<Console> {
  const name = `story-${Date.now()}`
  const printed = await cpns('token', 'create', name, '--scope', 'operate', '--for', '1d', '--config', config)
  const token = printed.trim()
  const page = await fetch(`${adminUrl}/console`)
  if (!page.ok) throw new Error(`The console answers ${page.status}: ${await page.text()}`)
  return { adminUrl, token, url: `${adminUrl}/console#token=${token}` }
}

/** As the page does when its button is pressed. */
async function press({ adminUrl, token }: Console, wish: NetworkWish): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const answer = await fetch(`${adminUrl}/v1/demo/${wish}`, { method: 'POST', headers, body: '{}' })
  if (!answer.ok) throw new Error(`The button answers ${answer.status}: ${await answer.text()}`)
}

async function client(server: ServerFolder, running: ServerProcess, identity: string): Promise<Session> {
  const session = await connect(await sessionOptions(server, running, identity))
  endings.push(() => session.close())
  return session
}

async function sessionOptions(server: ServerFolder, running: ServerProcess, identity: string) {
  return {
    operator: operatorId(server.operator),
    identity,
    credential: { kind: 'psk' as const, key: await subscribers(server).keyOf(identity) },
    servers: [serverId(server.serverId)],
    urls: [running.clientUrl],
  }
}

async function gateway(server: ServerFolder, running: ServerProcess, gatewayId: string): Promise<PnGateway> {
  const session = await sessionOptions(server, running, gatewayId)
  const opened = await openGateway({ gatewayId, networks: [network], session })
  endings.push(() => opened.stop())
  return opened
}

/** Establishes the network with its first members and the grant to the other operator, unless an earlier run has. */
async function establish(owner: Session, b: ServerFolder): Promise<Inventory> {
  const stored = await attempt(view(owner))
  if (stored) return stored
  await owner.call(pnEstablish, { commandId: newCommandId(), alias: 'My home', pnId: network.pnId })
  const members = [
    { operator: A, pneId: 'gateway-a' },
    { operator: A, pneId: 'thermostat' },
    { operator: B, pneId: 'gateway-b' },
  ]
  await owner.call(pnUpdate, { commandId: newCommandId(), ...network, operation: 'add', pnes: members })
  await owner.call(pnGrant, {
    commandId: newCommandId(),
    ...network,
    operator: B,
    fingerprint: b.fingerprint,
    rights: ['register', 'admit', 'gateway'],
    expires: Date.now() + 30 * dayMs,
  })
  return view(owner)
}

async function register(server: ServerFolder, through: PnGateway, pneId: string) {
  const key = await subscribers(server).keyOf(pneId)
  const operator = operatorId(server.operator)
  return personalNetworkElement({ gatewayUrl: through.url(), ...network, operator, pneId, key }).register()
}

const view = (session: Session): Promise<Inventory> => session.call(pnInventory, network)

const active = ({ members }: Inventory): string[] =>
  members.filter(({ state }) => state === 'active').map(({ pneId }) => pneId)

const same = (one: Inventory, other: Inventory): boolean => JSON.stringify(one) === JSON.stringify(other)

async function sameDigests(one: Session, other: Session): Promise<boolean> {
  for (const document of documents) {
    const [ours, theirs] = await Promise.all([one, other].map(session => session.call(documentOpen, { document })))
    if (ours?.digest !== theirs?.digest) return false
  }
  return true
}

const attempt = <T>(action: Promise<T>): Promise<T | undefined> =>
  action.catch(error => {
    if (error instanceof Error && 'status' in error) return undefined
    throw error
  })

const describe = ({ alias, members, grants }: Inventory): string =>
  `“${alias}” with ${members.length} members, ${active({ members } as Inventory).length} of them active; granted to ${grants.map(({ operator }) => operator).join(', ')}`

await tellUntilAsked(tell, async () => {
  for (const end of endings.reverse()) await end()
  if (options.data === undefined) await rm(folder, { recursive: true })
})
