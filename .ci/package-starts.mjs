// Starts a server by the installed package, in the folder given, as an operator would: twice, so that the second finds what the first has kept of
// the compiled program. It is kept where nobody else can write, or not at all.
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const [, , folder] = process.argv
const cpns = join(folder, 'node_modules/.bin/cpns')
const at = join(folder, 'server')
const configuration = join(at, 'cpns.toml')
const home = join(folder, 'home')
const cache = join(home, '.cache/cpns')
const { NODE_COMPILE_CACHE: _, XDG_CACHE_HOME: __, ...inherited } = process.env
const env = { ...inherited, HOME: home }

mkdirSync(cache, { recursive: true })
chmodSync(cache, 0o777)
command('init', at, '--operator', 'a.example', '--client-port', '0', '--listen', '/ip4/127.0.0.1/tcp/0')
demand(readdirSync(cache).length === 0, 'It kept compiled code where others can write.')
chmodSync(cache, 0o700)
for (const time of ['first', 'second']) {
  const began = performance.now()
  const server = spawn(cpns, ['start', '--config', configuration], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  process.once('exit', () => server.kill('SIGKILL'))
  const exit = new Promise(resolve => server.once('close', resolve))
  const limit = setTimeout(() => server.kill('SIGKILL'), 120_000)
  for await (const line of createInterface({ input: server.stdout })) {
    const { event } = JSON.parse(line)
    if (event === 'node.serving')
      console.log(`The ${time} start served after ${Math.round(performance.now() - began)} ms.`)
    if (event !== 'node.ready') continue
    // Not whether it is ready: where much else goes on it may well be overloaded.
    const { state } = JSON.parse(command('status', '--config', configuration, '--json'))
    demand(state === 'serving', `It says that it is ${state}.`)
    server.kill('SIGTERM')
  }
  demand((await exit) === 0, 'It did not end by itself.')
  clearTimeout(limit)
  demand(existsSync(cache) && readdirSync(cache).length > 0, 'It kept no compiled code.')
}

function command(...words) {
  const { status, stdout, stderr } = spawnSync(cpns, words, { env, encoding: 'utf8' })
  demand(status === 0, `cpns ${words[0]} failed: ${stderr}`)
  return stdout
}

function demand(holds, fault) {
  if (holds) return
  console.error(fault)
  process.exit(1)
}
