/*
 * An application server that sends to a phone, through the operator that the phone is connected to. The operator has two servers; the
 * one that the phone is on is killed in the middle of it. The application server sends what it had no answer to again, the phone
 * finds the other server, and the application on it shows every message: in order, and once.
 *
 *   node examples/application-channel.ts           the story; then a message every two seconds until Ctrl-C
 *   node examples/application-channel.ts --once    ends after the story: 0 if every step was verified, 1 with the step that failed
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  type AlwaysOn,
  alwaysOn,
  type Channel,
  type ChannelAddress,
  channelHome,
  openChannel,
  operatorId,
  serverId,
} from '../src/client/node.ts'
import { type ServerFolder, serverFolder } from './support/operators.ts'
import { cpns, type ServerProcess, startServer } from './support/server-process.ts'
import { eventually, story, tellUntilAsked } from './support/story.ts'

const { values: options } = parseArgs({ options: { once: { type: 'boolean', default: false } } })

const A = operatorId('a.example')
const folder = await mkdtemp(join(tmpdir(), 'cpns-'))
const told = story()
/** What has to be ended, the latest first. */
const endings: (() => unknown)[] = []

/** All that an application server needs: where the channel is, and to send again what nobody has answered. */
class ApplicationServer {
  #address: ChannelAddress | undefined

  /** From the application on the phone, however it tells its server. */
  takeAddress(address: ChannelAddress): void {
    this.#address = address
  }

  /** Resolves with the status as soon as the operator has the message. */
  async send(text: string, more: Readonly<Record<string, string>> = {}): Promise<number> {
    if (!this.#address) throw new Error('The application has not opened its channel yet.')
    const { urls, credential } = this.#address
    // By its key it is the same message, however often and wherever it is sent.
    const headers = { authorization: `Bearer ${credential}`, ttl: '3600', 'idempotency-key': randomUUID(), ...more }
    for (let attempt = 0; ; attempt++) {
      const url = urls[attempt % urls.length] as string
      const answer = await fetch(url, { method: 'POST', body: text, headers }).catch(() => undefined)
      if (answer && answer.status < 500 && answer.status !== 429) return answer.status
      await sleep(200)
    }
  }
}

async function tell(asked: Promise<void>): Promise<void> {
  const applicationServer = new ApplicationServer()
  const key = new Uint8Array(randomBytes(32))

  told.chapter('An operator with two servers, and a phone')
  const homes = await told.step('Both servers know the phone', () => founded(key))
  const servers = await told.step(
    'They start, and find each other',
    async () => {
      const started = await Promise.all(homes.map(start))
      await Promise.all(started.map(server => linked(server)))
      return started
    },
    ([first, second]) => `${first?.clientUrl} and ${second?.clientUrl}`,
  )

  /** All that the application has shown, whenever the phone was on. */
  const shown: string[] = []
  const on = (): Phone => {
    const client = alwaysOn({
      homes: [
        {
          ...{ operator: A, identity: 'phone', credential: { kind: 'psk', key } },
          servers: homes.map(({ serverId: id }) => serverId(id)),
          urls: servers.map(({ clientUrl }) => clientUrl),
        },
      ],
    })
    endings.push(() => client.close())
    const channel = openChannel(channelHome(client, A), {
      application: 'weather.example',
      direct: 'https://push.weather.example',
      listener: {
        opened: address => applicationServer.takeAddress(address),
        message: message => {
          shown.push(message.text())
          told.line(`the phone shows “${message.text()}”`)
        },
        direct: url => told.line(`no server has room: the application turns to ${url}`),
        back: () => told.line('the operator has room again'),
      },
    })
    return { client, channel }
  }
  /** Waits until so much is shown; then it is this, and nothing else. */
  const shows = async (...texts: readonly string[]) => {
    await eventually(`${texts.at(-1)} is shown`, async () => shown.length >= texts.length)
    expect(shown.join(', '), [texts.join(', ')], 'what is shown')
  }
  const isTaken = async (texts: readonly string[], more?: Readonly<Record<string, string>>) => {
    for (const text of texts) expect(await applicationServer.send(text, more), [201, 202], text)
  }
  /** Sent again it is the same message, and the answer says where it is by now. */
  const isAtBoth = (text: string) => {
    const same = { urgency: 'high', 'idempotency-key': randomUUID() }
    return eventually('it is at both', async () => (await applicationServer.send(text, same)) === 201)
  }

  const phone = on()
  await told.step(
    'The application opens its channel, and tells its server where that is',
    () => eventually('it is open', async () => phone.channel.address),
    ({ urls }) => urls.join(' and '),
  )
  await told.step('The application server sends: the message is durable at both servers, and shown', async () => {
    await isAtBoth('Sunny, 24 degrees')
    await shows('Sunny, 24 degrees')
  })

  told.chapter('The server that the phone is on is killed')
  const victim = homes.findIndex(({ serverId: id }) => isAt(phone, id))
  await told.step('It dies without a word (SIGKILL)', async () => servers[victim]?.stop('SIGKILL'))
  const weather = ['Clouds from the west', 'Rain within the hour', 'Storm warning']
  await told.step('The application server goes on sending, and finds the other one', () => isTaken(weather))
  await told.step('The phone finds it too, and shows all of it, in order', () => shows('Sunny, 24 degrees', ...weather))

  told.chapter('The phone is switched off')
  phone.client.close()
  await told.step('Two temperatures are sent, under one topic', () =>
    isTaken(['18 degrees', '17 degrees'], { topic: 'temperature' }),
  )
  const again = await told.step('Switched on again, it shows the later one alone', async () => {
    const again = on()
    await shows('Sunny, 24 degrees', ...weather, '17 degrees')
    return again
  })

  told.chapter('The killed server returns')
  await told.step('What is sent from now on is at both again; nothing of before is shown a second time', async () => {
    const restarted = await Promise.all(homes.filter((_, index) => index === victim).map(start))
    const others = servers.filter((_, index) => index !== victim)
    await Promise.all([...restarted.map(server => linked(server)), ...others.map(server => linked(server, 2))])
    await isAtBoth('All clear')
    await shows('Sunny, 24 degrees', ...weather, '17 degrees', 'All clear')
  })
  if (!options.once) {
    told.chapter('A message every two seconds, until Ctrl-C')
    const timer = setInterval(() => void applicationServer.send(`It is ${new Date().toLocaleTimeString()}`), 2_000)
    await asked
    clearInterval(timer)
  }
  await told.step('The application closes its channel: its server is told to forget it', async () => {
    await again.channel.close()
    expect(await applicationServer.send('Anybody there?'), [410], 'the answer')
  })
}

interface Phone {
  readonly client: AlwaysOn
  readonly channel: Channel
}

function isAt({ client }: Phone, server: string): boolean {
  const { state } = client.home(A)
  return state.kind === 'online' && state.server === server
}

/** Two servers of one operator, which both know the phone's key. */
async function founded(key: Uint8Array): Promise<readonly ServerFolder[]> {
  const first = await serverFolder(join(folder, 'first'), A)
  const second = await serverFolder(join(folder, 'second'), A, first)
  const psk = Buffer.from(key).toString('base64url')
  const add = ({ config }: ServerFolder) => cpns('subscriber', 'add', '--config', config, 'phone', `--psk=${psk}`)
  for (const { link } of [first, second]) endings.push(() => link.close())
  await Promise.all([first, second].map(add))
  return [first, second]
}

async function start({ config }: ServerFolder): Promise<ServerProcess> {
  const server = await startServer(config)
  endings.push(() => server.stop('SIGKILL'))
  return server
}

/** Waits until the server has a link to the other one, for the n-th time. */
const linked = ({ log }: ServerProcess, times = 1) =>
  eventually('a link', async () => log.filter(({ event }) => event === 'link.up').length >= times)

/** @throws when it is none of these */
function expect<T>(value: T, among: readonly T[], what: string): void {
  if (!among.includes(value)) throw new Error(`${what}: ${String(value)}, not ${among.join(' or ')}`)
}

await tellUntilAsked(tell, async () => {
  for (const end of endings.reverse()) await end()
  await rm(folder, { recursive: true })
})
