/*
 * Proves, with the command line against a server in a process of its own: users are registered, shown and erased by who may;
 * a mailbox exported and imported again adds nothing; imported into another mailbox or from another program it is all there,
 * flags and folders too; and nobody exports or imports what he may not read or write. Fails if an import doubles an object, an
 * export lacks one, or a ticket opens another mailbox.
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  folderCreate,
  mailboxCopy,
  mailboxFlag,
  mailboxSync,
  messageDeposit,
  operatorId,
  type Session,
  sessionTicket,
  userList,
  userRegister,
} from '../../src/client/node.ts'
import { documentId } from '../../src/document/names.ts'
import { openStage, type Server, type Stage } from './stage.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const operator = operatorId('a.example')
const [alice, bob] = ['alice', 'bob'].map(user => ({ operator, user })) as [Mailbox, Mailbox]
type Mailbox = { readonly operator: typeof operator; readonly user: string }

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function commandLine(stage: Stage, { home, process: server }: Server) {
  return async (identity: string, ...args: readonly string[]): Promise<Ran> => {
    const psk = Buffer.from(await stage.subscribed(home, identity)).toString('base64url')
    const at = ['--url', server.clientUrl, '--server', home.serverId, '--operator', operator, '--identity', identity]
    return new Promise(resolve => {
      const env = { ...process.env, CPNS_PSK: psk }
      execFile(process.execPath, [main, ...args, ...at], { env }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      )
    })
  }
}

/** As any program asks, with a ticket. */
async function request(server: Server, session: Session, mailbox: Mailbox, format: string, body?: Uint8Array) {
  const document = documentId({ kind: 'mailbox', owner: mailbox.operator, user: mailbox.user })
  const { ticket } = await session.call(sessionTicket, { document })
  const base = server.process.clientUrl.replace(/^ws/, 'http')
  return fetch(`${base}/v1/archive/${mailbox.operator}/${mailbox.user}?format=${format}`, {
    headers: { authorization: `Bearer ${ticket}` },
    ...(body && { method: 'POST', body: Buffer.from(body) }),
  })
}

const contentOf = async (session: Session, mailbox: Mailbox) => {
  const { created, containers } = await session.call(mailboxSync, { ...mailbox, content: 'full' })
  const nameOf = new Map(containers.map(({ container, name }) => [container, name]))
  return created
    .flatMap(object => ('conversationId' in object && 'text' in object ? [object] : []))
    .map(({ container, text, flags, subject }) => [nameOf.get(container), text, subject, flags.toSorted()])
    .sort((one, other) => (String(one) < String(other) ? -1 : 1))
}

test('mailboxes are exported and imported, by who may', async () => {
  await using stage = await openStage()
  const [server] = await stage.federation(operator)
  await stage.subscribed(server.home, 'provisioner', ['provision'])
  const cpns = commandLine(stage, server)
  const done = async (identity: string, ...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await cpns(identity, ...args)
    assert.is(code, 0, `cpns ${args.join(' ')}: ${stderr}`)
    return stdout
  }

  const address = 'tel:+4930123456'
  await done('provisioner', 'user', 'add', 'alice', '--address', address, '--subscriber', 'alice')
  const provisioner = await stage.session(server, 'provisioner')
  await provisioner.call(userRegister, {
    commandId: randomUUID(),
    user: 'bob',
    addresses: [],
    subscribers: [{ operator, identity: 'bob', rights: ['read', 'write', 'deposit'] }],
  })
  assert.is(await done('provisioner', 'user', 'list'), 'alice\nbob\n')
  assert.match(await done('provisioner', 'user', 'show', 'alice'), /addresses: tel:\+4930123456/)

  const session = await stage.session(server, 'alice')
  for (const [at, text] of ['From me to you', 'Ü\r\n= ', 'third'].entries()) {
    const { created: _, ...object } = await session.call(messageDeposit, {
      commandId: randomUUID(),
      ...alice,
      object: {
        ...{
          type: 'message',
          direction: 'in',
          from: 'tel:+4930654321',
          to: [address],
          conversationId: `lunch ${at % 2}`,
        },
        ...{ date: 1_795_000_000_000 + at, contentType: 'text/plain', text, subject: `Lunch, “${at}”` },
        ...(at === 0 && { imdnMessageId: 'imdn-0' }),
      },
    })
    if (at !== 1) continue
    await session.call(mailboxFlag, {
      commandId: randomUUID(),
      ...alice,
      changes: [{ ...object, add: ['\\Seen', '$Forwarded'] }],
    })
    const { folder } = await session.call(folderCreate, { commandId: randomUUID(), ...alice, name: 'To keep' })
    await session.call(mailboxCopy, { commandId: randomUUID(), ...alice, objects: [object], folder })
  }
  const content = await contentOf(session, alice)
  assert.is(content.length, 4)

  const file = stage.path('alice.mbox')
  const bobs = await stage.session(server, 'bob')
  await done('alice', 'mailbox', 'export', 'alice', file)
  assert.match(await readFile(file, 'utf8'), /^X-CPNS-Folder: To keep$/m)
  const first = JSON.parse(await done('bob', 'mailbox', 'import', 'bob', file, '--json'))
  assert.equal([first.added, first.present, first.problems], [4, 0, 0])
  for (const format of ['mbox', 'zip'] as const) {
    const exported = await (await request(server, session, alice, format)).bytes()
    for (const [at, mailbox] of [
      [session, alice],
      [bobs, bob],
    ] as const) {
      const report = await (await request(server, at, mailbox, format, exported)).json()
      assert.equal(report, { added: 0, present: 4, problems: 0, firstProblems: [] })
      assert.equal(await contentOf(at, mailbox), content)
    }
  }

  const message = 'From x Thu Nov 26 16:30:00 2026\nFrom: b@b.example\nSubject: hi\nStatus: RO\n\nhello\n\n'
  for (const added of [1, 0]) {
    const report = await (await request(server, bobs, bob, 'mbox', Buffer.from(message.repeat(2)))).json()
    assert.equal([report.added, report.present], [added, 2 - added])
  }
  assert.ok((await contentOf(bobs, bob)).some(([folder, text]) => folder === 'Imported' && text === 'hello\n'))
  const foreign = stage.path('foreign.mbox')
  await writeFile(foreign, 'no archive\n')
  const problem = await cpns('bob', 'mailbox', 'import', 'bob', foreign)
  assert.is(problem.code, 1)
  assert.match(problem.stderr, /not-an-archive/)
  const stolen = await cpns('bob', 'mailbox', 'export', 'alice', stage.path('stolen'))
  assert.is(stolen.code, 1)
  assert.not(existsSync(stage.path('stolen')))

  const document = documentId({ kind: 'mailbox', owner: operator, user: 'bob' })
  const { ticket } = await bobs.call(sessionTicket, { document })
  const status = async (path: string, method = 'GET') => {
    const base = server.process.clientUrl.replace(/^ws/, 'http')
    const answer = await fetch(`${base}/v1/archive/${path}`, { method })
    await answer.arrayBuffer()
    return answer.status
  }
  assert.is(await status(`a.example/bob?ticket=${ticket}`), 200)
  assert.is(await status(`a.example/alice?ticket=${ticket}`), 401)
  assert.is(await status('a.example/bob'), 401)
  assert.is(await status(`a.example/bob?format=tar&ticket=${ticket}`), 404)
  assert.is(await status(`a.example/..%2fbob?ticket=${ticket}`), 404)
  assert.is(await status(`a.example/bob?ticket=${ticket}`, 'DELETE'), 405)

  await done('provisioner', 'user', 'remove', 'alice')
  assert.equal((await provisioner.call(userList, {})).users, ['bob'])
})

test.run()
