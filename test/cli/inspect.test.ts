/*
 * Property: `cpns pn`, `mailbox` and `document` show the same of a server that runs, over its socket, as of the same folder when it
 * does not run; nothing of a message is in any of it; what is not there is refused with what to do. The node is a real one, with real
 * clients.
 */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { connect, messageDeposit, operatorId, pnEstablish, serverId, userRegister } from '../../src/client/node.ts'
import { launch, type RunningNode, readConfiguration } from '../../src/operations/launch.ts'
import { type TemporaryFolder, temporaryFolder } from '../fixtures/temporary-folder.ts'
import { cpnsHere } from './in-process.ts'

const operator = operatorId('a.example')
const secretText = 'The key is under the flower pot.'

interface Context {
  folder: TemporaryFolder
  config: string
  /** What a test that fails has left running. */
  nodes: Set<RunningNode>
}
const test = suite<Context>('cpns pn, mailbox, document')

async function done(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cpnsHere(...args)
  assert.is(code, 0, `cpns ${args.join(' ')}: ${stderr}`)
  return stdout
}

async function refused(expected: RegExp, ...args: string[]): Promise<void> {
  const { code, stderr } = await cpnsHere(...args)
  assert.match(stderr, expected)
  assert.is(code, 1)
}

test.before(async context => {
  context.folder = await temporaryFolder()
  context.nodes = new Set()
  const a = join(context.folder.path, 'a')
  context.config = join(a, 'cpns.toml')
  const ports = ['--listen', '/ip4/127.0.0.1/tcp/0', '--client-port', '0']
  await done('init', a, '--operator', operator, ...ports)
})
test.after.each(async ({ nodes }) => {
  for (const node of nodes) await node.stop()
  nodes.clear()
})
test.after(({ folder }) => folder.remove())

async function running({ folder, config, nodes }: Context) {
  const at = (path: string) => resolve(folder.path, 'a', path)
  const text = await readFile(config, 'utf8')
  const node = await launch(readConfiguration({ text, name: config }, {}, { 'log.level': 'error' }), at)
  await node.ready
  nodes.add(node)
  const stop = () => {
    nodes.delete(node)
    return node.stop()
  }
  return { clientUrl: node.clientUrl, stop }
}

/** What each command says, and what it says as JSON. */
async function shown(config: string): Promise<Record<string, string>> {
  const commands = [
    ['pn', 'list'],
    ['pn', 'show', 'home', '--said'],
    ['mailbox', 'list'],
    ['mailbox', 'show', 'alice'],
    ['document', 'list'],
    ['document', 'list', 'conversation/'],
    ['document', 'show', 'pn/a.example/home'],
    ['document', 'show', 'pn/a.example/home', '--content'],
    ['document', 'show', 'pn/a.example/home', '--content', '--at', '2020-01-01T00:00:00Z'],
    ['document', 'history', 'pn/a.example/home'],
    ['document', 'history', 'mailbox/a.example/alice', '--limit', '2'],
  ]
  const all: Record<string, string> = {}
  for (const command of commands) {
    for (const json of [[], ['--json']]) {
      const line = [...command, ...json]
      const printed = await done(...line, '--config', config)
      // In whatever order its members come.
      all[line.join(' ')] = json.length === 0 ? printed : sorted(JSON.parse(printed))
    }
  }
  return all
}

const sorted = (value: unknown): string =>
  JSON.stringify(value, (_, inner) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )

test('a server that runs and its folder say the same, and nothing of what users say', async context => {
  const { config } = context
  await refused(/There is nothing in .*data yet: cpns start/, 'pn', 'list', '--config', config)
  const { psk } = JSON.parse(
    await done('subscriber', 'add', 'alice', '--right', 'provision', '--right', 'deposit', '--config', config),
  )
  const node = await running(context)
  const server = JSON.parse(await done('status', '--json', '--config', config)).server
  const session = await connect({
    ...{ urls: [node.clientUrl()], servers: [serverId(server)], operator, identity: 'alice' },
    credential: { kind: 'psk', key: new Uint8Array(Buffer.from(psk, 'base64url')) },
  })
  const commandId = () => randomUUID()
  await session.call(pnEstablish, { commandId: commandId(), pnId: 'home', alias: 'My \u001b[2Jhome' })
  await session.call(userRegister, {
    ...{ commandId: commandId(), user: 'alice', addresses: ['tel:+4930123456'] },
    subscribers: [{ operator, identity: 'alice', rights: ['read', 'write', 'deposit'] }],
  })
  await session.call(messageDeposit, {
    ...{ commandId: commandId(), operator, user: 'alice' },
    object: {
      ...{ type: 'message', direction: 'in', conversationId: 'talk', contributionId: 'c1' },
      ...{ date: Date.now(), from: 'tel:+491', to: ['tel:+4930123456'], contentType: 'text/plain', text: secretText },
    },
  })
  session.close()
  const whileItRan = await shown(config)
  await node.stop()
  assert.equal(await shown(config), whileItRan)

  assert.match(whileItRan['pn list'] ?? '', /^PN +HOME .*\nhome +a\.example +My .\[2Jhome +alice +live/)
  assert.not((whileItRan['pn list'] ?? '').includes('\u001b'), 'a terminal obeys no alias')
  assert.match(whileItRan['pn show home --said'] ?? '', /a\.example in pn\/a\.example\/home: counts\nREGISTER/)
  assert.match(whileItRan['mailbox list'] ?? '', /\nalice +a\.example +live +1 /)
  assert.match(whileItRan['mailbox show alice'] ?? '', /c-talk +conversation +1 .* all of it/)
  assert.match(whileItRan['document list conversation/'] ?? '', /conversation\/a\.example\/alice\/c-talk/)
  assert.match(whileItRan['document history pn/a.example/home'] ?? '', /pn 1/)
  assert.match(
    whileItRan['document show pn/a.example/home --content --at 2020-01-01T00:00:00Z'] ?? '',
    /It says nothing/,
  )
  for (const text of Object.values(whileItRan)) assert.not(text.includes(secretText))
})

test('what is not there, or not the operator’s to read, is refused, running or not', async context => {
  const of = ['--config', context.config]
  const all = async () => {
    await refused(/holds no Personal Network garden of a\.example; cpns pn list/, 'pn', 'show', 'garden', ...of)
    await refused(/holds no mailbox bob of a\.example/, 'mailbox', 'show', 'bob', ...of)
    await refused(/does not hold pn\/b\.example\/home/, 'document', 'show', 'pn/b.example/home', ...of)
    await refused(/does not hold pn\/b\.example\/home/, 'document', 'history', 'pn/b.example/home', ...of)
    await refused(/is its user's/, 'document', 'show', 'mailbox/a.example/alice', '--content', ...of)
    await refused(/ids look like/, 'document', 'show', 'nonsense', ...of)
    await refused(/go with --content/, 'document', 'show', 'pn/a.example/home', '--at', '1', ...of)
    assert.is((await cpnsHere('pn', 'list', '--limit', '0', ...of)).code, 2)
    assert.is((await cpnsHere('document', 'show', 'pn/a.example/home', '--content', '--at', 'noon', ...of)).code, 2)
    assert.is((await cpnsHere('document', 'show', 'pn/a.example/home', '--version', 'x:1', ...of)).code, 2)
  }
  await all()
  const node = await running(context)
  await all()
  await node.stop()
})

test.run()
