/*
 * Property: `cpns start` serves, or it ends with exit code 1 and one message that says what to do, and leaves nothing
 * behind. It would fail if a server ran that all others refuse (not named in the manifest, another operator's manifest,
 * another root than pinned, secrets that no PNE seals to), if an error showed as a fault of the program, if a port kept a
 * half-started process alive, or if a signal during the start cut it off in the middle. SIGHUP has it read its settings again,
 * also during the start; what is wrong in them ends nothing.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** What hangs is killed then. */
const patienceMs = 120_000

interface Ran {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

const cpns = (...args: string[]): Promise<Ran> =>
  new Promise(resolve => {
    const child: ChildProcess = execFile(
      process.execPath,
      [main, ...args],
      { timeout: patienceMs, killSignal: 'SIGKILL' },
      (_, stdout, stderr) => resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr }),
    )
  })

const anyPorts = ['--set', 'peers.listen=/ip4/127.0.0.1/tcp/0', '--set', 'clients.port=0']
const startArgs = (folder: string, ...more: string[]) => [
  'start',
  '--config',
  join(folder, 'cpns.toml'),
  ...anyPorts,
  ...more,
]

async function refused(expected: RegExp, folder: string, ...more: string[]): Promise<void> {
  const { code, signal, stderr, stdout } = await cpns(...startArgs(folder, ...more))
  assert.is(signal, null, `still running: ${stdout}`)
  assert.match(stderr, expected)
  assert.not.match(stderr, /\n\s+at /, 'a person needs no stack')
  assert.is(code, 1)
  assert.not.match(stdout, /node\.ready/)
}

/** A running `cpns start`, with what it has written so far. */
function running(folder: string) {
  const child = spawn(process.execPath, [main, ...startArgs(folder)], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.add(child)
  let log = ''
  let heard = () => {}
  child.stdout.setEncoding('utf8').on('data', text => {
    log += text
    heard()
  })
  const ended = new Promise<number | string | null>(resolve =>
    child.once('close', (code, signal) => resolve(code ?? signal)),
  )
  return {
    child,
    log: () => log,
    ended,
    async says(event: string): Promise<void> {
      while (!log.includes(`"${event}"`)) {
        const news = new Promise<'news'>(resolve => (heard = () => resolve('news')))
        if ((await Promise.race([news, ended])) !== 'news') throw new Error(`It ended without ${event}: ${log}`)
      }
    },
  }
}

const test = suite<{ folder: string; a: string; b: string }>('cpns start')
const children = new Set<ChildProcess>()
test.before.each(async context => {
  context.folder = await mkdtemp(join(tmpdir(), 'cpns-start-'))
  context.a = join(context.folder, 'a')
  context.b = join(context.folder, 'b')
  await Promise.all([
    cpns('init', context.a, '--operator', 'a.example'),
    cpns('init', context.b, '--operator', 'b.example'),
  ])
})
test.after.each(async ({ folder }) => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
  await rm(folder, { recursive: true })
})

async function edit(file: string, change: (text: string) => string): Promise<void> {
  await writeFile(file, change(await readFile(file, 'utf8')))
}

test('a manifest that is not this server’s, or not readable, stops the start', async ({ a, b, folder }) => {
  const copy = join(folder, 'copy')
  const changed = async (change: () => Promise<void>, expected: RegExp) => {
    await cp(a, copy, { recursive: true })
    await change()
    await refused(expected, copy)
    await rm(copy, { recursive: true })
  }
  await changed(
    () => writeFile(join(copy, 'manifest.json'), '{"manifest":'),
    /copy\/manifest\.json: Not a signed manifest: not JSON/,
  )
  await changed(
    () => cp(join(b, 'manifest.json'), join(copy, 'manifest.json')),
    /is of b\.example, this server of a\.example/,
  )
  await changed(
    () => cp(join(b, 'keys/server.key'), join(copy, 'keys/server.key')),
    /does not name this server 12D3.*manifest sign --add/,
  )
  await changed(
    () => cp(join(b, 'keys/operator.secrets'), join(copy, 'keys/operator.secrets')),
    /registration key of epoch 1.*secret import/,
  )
  await changed(
    () =>
      edit(join(copy, 'cpns.toml'), text =>
        text.replace(/^"a\.example" = ".{43}"/m, `"a.example" = "${'A'.repeat(43)}"`),
      ),
    /fingerprint .*, pinned is A{43}/,
  )
})

test('a pin that was changed after the server has run stops the start too', async ({ a }) => {
  const server = running(a)
  await server.says('node.ready')
  server.child.kill('SIGTERM')
  assert.is(await server.ended, 0)
  await edit(join(a, 'cpns.toml'), text =>
    text.replace(/^"a\.example" = ".{43}"/m, `"a.example" = "${'A'.repeat(43)}"`),
  )
  await refused(/fingerprint .*, pinned is A{43}/, a)
})

test('a port that is taken ends the start, whichever it is', async ({ a }) => {
  const taken: Server = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  const address = taken.address()
  const port = address && typeof address === 'object' ? address.port : 0
  await refused(/address already in use/, a, '--set', `peers.listen=/ip4/127.0.0.1/tcp/${port}`)
  await refused(/Another program listens there/, a, '--set', `clients.port=${port}`)
  await new Promise(resolve => taken.close(resolve))
})

test('a second server on the same folder is refused, and harms the first in nothing', async ({ a }) => {
  const first = running(a)
  await first.says('node.ready')
  await refused(/is open in another process/, a)
  first.child.kill('SIGTERM')
  assert.is(await first.ended, 0)
  assert.match(first.log(), /"node\.stopped"/)
})

test('SIGHUP has it read its settings again, and wrong ones change nothing', async ({ a }) => {
  const server = running(a)
  await server.says('trust.manifest')
  await edit(join(a, 'cpns.toml'), text => text.replace('level = "info"', 'level = "debug"'))
  server.child.kill('SIGHUP')
  await server.says('configuration.reloaded')
  assert.match(server.log(), /"by":"SIGHUP","setting":"log\.level","before":"\\"info\\"","after":"\\"debug\\""/)
  await edit(join(a, 'cpns.toml'), text => text.replace('level = "debug"', 'level = "loud"'))
  server.child.kill('SIGHUP')
  await server.says('configuration.refused')
  assert.match(server.log(), /cpns\.toml: log\.level: Invalid option/)
  server.child.kill('SIGTERM')
  assert.is(await server.ended, 0)
})

test('a signal during the start ends the server as cleanly as one after it', async ({ a }) => {
  const server = running(a)
  await server.says('trust.manifest')
  server.child.kill('SIGTERM')
  assert.is(await server.ended, 0)
  assert.match(server.log(), /"node\.stopped"/)
})

test.run()
