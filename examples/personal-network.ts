/*
 * A Personal Network whose operator is out of reach: two operators' servers, a gateway and several devices, each in a process
 * of its own. The server that the gateway belongs to is stopped; the gateway goes on alone, tells what it knew, lets devices
 * in, is killed, and comes back with what it had promised. Then the server returns, and all is as it was meant.
 *
 *   node examples/personal-network.ts           the story; then it serves on until Ctrl-C
 *   node examples/personal-network.ts --once    ends after the story: 0 if every step was verified, 1 with the step that failed
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  connect,
  type Inventory,
  operatorId,
  pnEstablish,
  pnGrant,
  pnInventory,
  pnUpdate,
  type Session,
  serverId,
} from '../src/client/node.ts'
import { newCommandId, subscribers } from './support/credentials.ts'
import { freePort } from './support/cuttable-link.ts'
import { type DeviceProcess, startDevice } from './support/device-process.ts'
import type { ToldGateway } from './support/gateway-program.ts'
import { type ServerFolder, serverFolder, trustEachOther } from './support/operators.ts'
import type { ToldPne } from './support/pne-program.ts'
import { type LogLine, type ServerProcess, startServer } from './support/server-process.ts'
import { eventually, inventoryTable, story, tellUntilAsked } from './support/story.ts'

const { values: options } = parseArgs({ options: { once: { type: 'boolean', default: false } } })

const A = operatorId('a.example')
const B = operatorId('b.example')
const network = { home: A, pnId: 'home' }
const gatewayId = 'hall'
const patientMs = 20_000

const folder = await mkdtemp(join(tmpdir(), 'cpns-'))
const told = story()
/** What has to be ended. */
const endings: (() => unknown)[] = []

/** What every device carries: its operator, its key, the secret of its pairing, what it can do. */
interface Device {
  readonly server: ServerFolder
  readonly pneId: string
  readonly key: string
  readonly pairingSecret: string
  readonly capabilities: Readonly<Record<string, string>>
}

async function tell(asked: Promise<void>): Promise<void> {
  told.chapter('Two operators, a gateway, and devices')
  const [a, b] = await told.step('Each operator has keys, and trusts the other one', async () => {
    const folders = await Promise.all([serverFolder(join(folder, 'a'), A), serverFolder(join(folder, 'b'), B)])
    for (const { link } of folders) endings.push(() => link.close())
    await trustEachOther(...folders)
    return folders
  })
  const gatewayPort = await freePort()
  const gatewayUrl = `ws://127.0.0.1:${gatewayPort}`
  const [devices, serverA, serverB] = await told.step(
    'A server of each starts, and the devices are provisioned',
    async () => {
      const provisioned = Promise.all([
        provision(a, 'owner', gatewayId, 'thermostat', 'camera', 'lamp'),
        provision(b, 'watch'),
      ])
      const [[ofA, ofB], ...servers] = await Promise.all([provisioned, start(a), start(b)])
      return [new Map([...ofA, ...ofB]), ...servers] as const
    },
    ([, ...servers]) => servers.map(({ clientUrl }) => clientUrl).join(' and '),
  )
  const device = (pneId: string): Device => {
    const found = devices.get(pneId)
    if (!found) throw new Error(`${pneId} was not provisioned.`)
    return found
  }
  const gatewayAsTold: ToldGateway = {
    ...{ gatewayId, network, operator: A, key: device(gatewayId).key },
    ...{ server: a.serverId, serverUrl: serverA.clientUrl },
    ...{ port: gatewayPort, folder: join(folder, 'gateway') },
  }
  const as = (what: ToldPne['what'], { server, ...rest }: Device): DeviceProcess => {
    const pne: ToldPne = { what, gatewayUrl, network, operator: server.operator, ...rest }
    return running(startDevice('pne-program', pne))
  }
  const registers = (...pneIds: string[]) => pneIds.map(pneId => as('register', device(pneId)))
  const looks = async (pneId: string): Promise<Found> => foundBy(as('lookup', device(pneId)))

  const owner = await told.step('The owner establishes a network', () => establish(device('owner'), serverA, b), shown)
  const gateway = await told.step('A gateway starts, and attaches', () => openGateway(gatewayAsTold, 'connected'))
  await told.step(
    'A thermostat registers, and a watch of the other operator, which was no member',
    async () => {
      const ids = await Promise.all(registers('thermostat', 'watch').map(isRegistered))
      const all = { isStale: false, members: ['thermostat', 'watch'], paired: [] }
      await comesToFind(() => looks('thermostat'), all)
      return ids
    },
    ids => ids.join(' and '),
  )

  told.chapter('The gateway’s server is stopped')
  await told.step('The gateway notices that it is alone', async () => {
    await serverA.stop()
    await gateway.seen('that it is alone', line => line.event === 'local', patientMs)
  })
  const waiting = registers('camera', 'lamp')
  await told.step('A camera and a lamp come: they are paired, and must wait for the operator', async () => {
    await eventually('both are kept', async () => gateway.count('queued') === 2, patientMs)
    if (waiting.some(({ log }) => log.length > 0)) throw new Error('Somebody has registered without an operator.')
  })
  await told.step(
    'The thermostat looks who is there: the gateway says what it knew, and who is new',
    async () =>
      expectFound(await looks('thermostat'), {
        isStale: true,
        members: ['thermostat', 'watch'],
        paired: ['camera', 'lamp'],
      }),
    described,
  )

  told.chapter('The gateway is killed as well')
  const again = await told.step(
    'It starts again from its store, without any server',
    async () => {
      await gateway.stop('SIGKILL')
      return openGateway(gatewayAsTold, 'local')
    },
    ({ log }) => `${log.find(isOpen)?.fields?.waiting} admissions wait for the operator`,
  )
  await told.step(
    'It knows what it knew',
    async () =>
      expectFound(await looks('thermostat'), {
        isStale: true,
        members: ['thermostat', 'watch'],
        paired: ['camera', 'lamp'],
      }),
    described,
  )

  told.chapter('The server returns')
  await told.step('The server starts', () => start(a))
  await told.step(
    'The gateway catches up: what waited is executed, in order, once',
    async () => {
      await again.seen('that it has caught up', line => line.event === 'connected', patientMs)
      const executed = again.log.filter(line => line.event === 'executed')
      if (executed.length !== 2 || again.count('refused') > 0) throw new Error(JSON.stringify(again.log))
      return executed
    },
    executed => executed.map(nameIn).join(', '),
  )
  await told.step(
    'The gateway calls who waited: the camera and the lamp are registered',
    () => Promise.all(waiting.map(isRegistered)),
    ids => ids.join(' and '),
  )
  await told.step(
    'What the gateway tells is fresh',
    async () =>
      comesToFind(() => looks('thermostat'), {
        isStale: false,
        members: ['camera', 'lamp', 'thermostat', 'watch'],
        paired: [],
      }),
    described,
  )
  const inventory = await told.step('Both operators have the same inventory', () =>
    agreed(owner, device('watch'), serverB),
  )
  told.line(inventoryTable(inventory))
  if (options.once) return

  told.chapter('Serving on until Ctrl-C')
  told.line(`the gateway, for PNEs: ${gatewayUrl}`)
  await asked
}

async function start(server: ServerFolder): Promise<ServerProcess> {
  const process = await startServer(server.config)
  endings.push(() => process.stop())
  return process
}

/** Subscribers of an operator, new, one after another: they stand in one file. */
async function provision(server: ServerFolder, ...pneIds: string[]): Promise<Map<string, Device>> {
  const devices = new Map<string, Device>()
  for (const pneId of pneIds) {
    const key = Buffer.from(await subscribers(server).keyOf(pneId)).toString('base64url')
    const pairingSecret = randomBytes(16).toString('base64url')
    devices.set(pneId, { server, pneId, key, pairingSecret, capabilities: { kind: pneId } })
  }
  return devices
}

function running(device: DeviceProcess): DeviceProcess {
  endings.push(() => device.stop('SIGKILL'))
  return device
}

/** The PNE that a line of the gateway is about. */
const nameIn = ({ fields }: LogLine): string => (fields?.pne as { readonly pneId?: string } | undefined)?.pneId ?? '?'

const isOpen = (line: LogLine): boolean => line.event === 'open'

async function openGateway(asTold: ToldGateway, state: 'connected' | 'local'): Promise<DeviceProcess> {
  const gateway = running(startDevice('gateway-program', asTold))
  const { fields } = await gateway.seen('that it is open', isOpen, patientMs)
  if (fields?.state !== state) throw new Error(`The gateway is ${fields?.state}, not ${state}.`)
  return gateway
}

async function isRegistered(device: DeviceProcess): Promise<string> {
  const { fields } = await device.seen('its registration', line => line.event === 'registered', patientMs)
  return String(fields?.cpnsId)
}

/** What a device was told, as far as the story looks at it. */
interface Found {
  readonly stale: boolean
  readonly asOf: number
  readonly members: readonly { readonly pneId: string; readonly state: string }[]
  readonly paired: readonly { readonly pneId: string }[]
}

async function foundBy(device: DeviceProcess): Promise<Found> {
  const { fields } = await device.seen('what it was told', line => line.event === 'found', patientMs)
  return fields as unknown as Found
}

interface Wanted {
  readonly isStale: boolean
  readonly members: readonly string[]
  readonly paired: readonly string[]
}

/** A registration has been confirmed soon after the device was told of it. */
async function comesToFind(look: () => Promise<Found>, wanted: Wanted): Promise<Found> {
  for (let times = 1; times < 20; times++) {
    const found = await look()
    if (isFound(found, wanted)) return found
  }
  return expectFound(await look(), wanted)
}

function expectFound(found: Found, wanted: Wanted): Found {
  if (isFound(found, wanted)) return found
  throw new Error(`It was told ${JSON.stringify(found)}`)
}

function isFound(found: Found, wanted: Wanted): boolean {
  const active = found.members.filter(({ state }) => state === 'active').map(({ pneId }) => pneId)
  const paired = found.paired.map(({ pneId }) => pneId)
  const same = (one: readonly string[], other: readonly string[]) => [...one].sort().join() === [...other].sort().join()
  return found.stale === wanted.isStale && same(active, wanted.members) && same(paired, wanted.paired)
}

const described = ({ stale, asOf, members, paired }: Found): string =>
  [
    `${members.map(({ pneId, state }) => `${pneId} ${state}`).join(', ')}`,
    paired.length > 0 ? `; beside them, paired only: ${paired.map(({ pneId }) => pneId).join(', ')}` : '',
    stale ? ` (stale, as of ${new Date(asOf).toISOString().slice(11, 19)})` : '',
  ].join('')

async function client({ server, pneId, key }: Device, { clientUrl }: ServerProcess): Promise<Session> {
  const session = await connect({
    operator: operatorId(server.operator),
    identity: pneId,
    credential: { kind: 'psk', key: new Uint8Array(Buffer.from(key, 'base64url')) },
    servers: [serverId(server.serverId)],
    urls: [clientUrl],
    longestPauseMs: 500,
  })
  endings.push(() => session.close())
  return session
}

async function establish(owner: Device, serverA: ServerProcess, b: ServerFolder): Promise<Session> {
  const session = await client(owner, serverA)
  await session.call(pnEstablish, { commandId: newCommandId(), alias: 'My home', pnId: network.pnId })
  const pnes = [gatewayId, 'thermostat'].map(pneId => ({ operator: A, pneId }))
  await session.call(pnUpdate, { commandId: newCommandId(), ...network, operation: 'add', pnes })
  await session.call(pnGrant, {
    commandId: newCommandId(),
    ...network,
    operator: B,
    fingerprint: b.fingerprint,
    rights: ['register'],
    expires: Date.now() + 3_600_000,
  })
  return session
}

const shown = (): string => `${network.pnId} of ${A}, granted to ${B}; the gateway and the thermostat are members`

/** The inventory as the owner has it, when the other operator has the same and everybody in it is registered but the gateway. */
async function agreed(owner: Session, watch: Device, serverB: ServerProcess): Promise<Inventory> {
  const reader = await client(watch, serverB)
  return eventually(
    'the same inventory at both',
    async () => {
      const [atA, atB] = await Promise.all([owner, reader].map(session => session.call(pnInventory, network)))
      const active = atA?.members.filter(({ state }) => state === 'active').length
      return active === 4 && JSON.stringify(atA) === JSON.stringify(atB) && atA
    },
    patientMs,
  )
}

await tellUntilAsked(tell, async () => {
  await Promise.all(endings.map(end => end()))
  await rm(folder, { recursive: true })
})
