import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type ServerFolder, serverFolder, trustEachOther } from '../../examples/support/operators.ts'
import { cpns } from '../../examples/support/server-process.ts'
import { connect, operatorId, serverId } from '../../src/client/node.ts'
import { parseManifest, rootFingerprint } from '../../src/federation/manifest.ts'
import type { ServerId } from '../../src/ports/names.ts'
import { crypto } from '../client/world.ts'
import { a, b, bobs, flat, m } from '../conformance/cast.ts'
import { establish } from '../conformance/stage.ts'
import { type Bench, type Figure, median } from './bench.ts'
import type { AttackerAnswer, AttackerOrder } from './hostile/attacker.child.ts'
import { counted } from './hostile/counted.ts'
import { type Onslaught, repertoire } from './hostile/repertoire.ts'
import { type BenchServer, start, writeSubscribers } from './overload/bench-server.ts'
import { type Child, setApart, startChild } from './overload/child.ts'
import type { ProbeAnswer } from './overload/loop-probe.ts'
import { pskOf } from './overload/raw-client.ts'
import { percentile, type Second } from './overload/samples.ts'
import type { SessionsAnswer, SessionsOrder } from './overload/sessions.child.ts'

/*
 * Two operators with a server each, as they run them, and clients at both; a third operator, whom both trust, attacks one of them with
 * everything that the conformance suite knows, one attack after the other. Between the attacks it is quiet for as long: what the
 * machine does besides disturbs both alike.
 */

interface Scale {
  readonly clients: number
  readonly requestsPerSecond: number
  readonly seconds: number
  /** For attacks that are known once somebody's patience has ended. */
  readonly patienceSeconds: number
}

const whole: Scale = { clients: 50, requestsPerSecond: 100, seconds: 3, patienceSeconds: 75 }
const quick: Scale = { clients: 10, requestsPerSecond: 50, seconds: 1, patienceSeconds: 0 }
/** Of the requests every so many changes something. */
const writeEvery = 4
const warmUpSeconds = 5
/** What was sent last is dealt with in it: it is the attack's. */
const aftermathMs = 500
const mebibyte = 1024 * 1024

const slowFaults = ['silent', 'takes-nothing', 'answers-nothing']
const isSlow = ({ known }: Onslaught): boolean => slowFaults.includes(known?.labels.fault ?? '')

/** How long clients waited for answers. */
interface Waits {
  readonly reads: readonly number[]
  readonly writes: readonly number[]
}

interface Stage {
  readonly victim: BenchServer
  readonly sessions: readonly Child<SessionsOrder, SessionsAnswer>[]
  readonly attacker: Child<AttackerOrder, AttackerAnswer>
}

/** What one attack, or several at once, did. */
interface Suffered {
  readonly name: string
  readonly quiet: Waits
  readonly attacked: Waits
  readonly blockedMs: number
  readonly quietBlockedMs: number
  readonly residentBytes: number
  /** Those of the attacks that the log, or a counter, does not name. */
  readonly unnamed: readonly string[]
}

export const hostileBench: Bench = {
  name: 'hostile',
  summary: 'clients of honest servers while a server that they trust attacks one of them in every way that is known',
  async run(progress, { isQuick }) {
    const scale = isQuick ? quick : whole
    const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    const ends: (() => unknown)[] = [() => rm(root, { recursive: true, force: true })]
    try {
      const stage = await set(root, scale, ends)
      await delay(warmUpSeconds * 1000)
      const before = await stage.victim.probe.ask({ what: 'collect' })
      await delay(warmUpSeconds * 1000)
      const suffered: Suffered[] = []
      for (const onslaught of repertoire.filter(each => !isSlow(each)))
        suffered.push(await suffer(stage, [onslaught], scale.seconds, scale.seconds, progress))
      if (scale.patienceSeconds > 0)
        suffered.push(
          await suffer(stage, repertoire.filter(isSlow), 5 * scale.seconds, scale.patienceSeconds, progress),
        )
      await delay(warmUpSeconds * 1000)
      const after = await stage.victim.probe.ask({ what: 'collect' })
      return figures(suffered, before, after)
    } finally {
      for (const end of ends.reverse()) await end()
    }
  },
}

async function set(root: string, { clients, requestsPerSecond }: Scale, ends: (() => unknown)[]): Promise<Stage> {
  const attacker = startChild<AttackerOrder, AttackerAnswer>('../hostile/attacker.child.ts')
  ends.push(() => attacker.end())
  const homes = await Promise.all([serverFolder(join(root, 'a'), a), serverFolder(join(root, 'b'), b)])
  for (const { link } of homes) ends.push(() => link.close())
  const [home, otherHome] = homes
  await trustEachOther(home, otherHome)
  const { manifest } = await attacker.ask({ what: 'prepare', target: serverId(home.serverId) })
  const file = join(root, 'm.json')
  await writeFile(file, manifest)
  for (const { config } of homes) await cpns('peer', 'trust', file, '--config', config)

  const identities = Array.from({ length: clients }, (_, index) => `client-${index}`)
  for (const { folder } of homes) await writeSubscribers(folder, [...identities, 'owner'])
  const servers: BenchServer[] = []
  for (const each of homes) {
    const server = await start(each, {}, ['--expose-gc'])
    servers.push(server)
    ends.push(async () => {
      server.signal('SIGKILL')
      await server.log.ended
    })
  }
  const [victim, other] = servers
  if (!victim || !other) throw new Error('A server is missing.')
  await victim.log.seen('the link', ({ event, fields }) => event === 'link.up' && fields?.peer === otherHome.serverId)

  const fingerprint = rootFingerprint(parseManifest(manifest).manifest, crypto)
  const grants = { a: home, b: otherHome, m: { operator: m, fingerprint } }
  await share(victim, flat, [grants.b, grants.m])
  await share(other, bobs, [grants.a])
  const sessions = [victim, other].map(({ port, home: { operator } }) => ({
    port,
    operator,
    child: startChild<SessionsOrder, SessionsAnswer>('sessions.child.ts'),
  }))
  for (const { child, port, operator } of sessions) {
    ends.push(() => child.end())
    await child.ask({ what: 'open', port, operator, identities })
    await child.ask({ what: 'begin', perSecond: requestsPerSecond, writeEvery })
  }
  setApart(victim.pid, [other.pid, attacker.pid, ...sessions.map(({ child }) => child.pid)])
  return { victim, sessions: sessions.map(({ child }) => child), attacker }
}

/** An owner's network, shared with others. */
async function share(
  { home, port }: BenchServer,
  network: typeof flat,
  grantees: readonly Pick<ServerFolder, 'operator' | 'fingerprint'>[],
): Promise<void> {
  const owner = await connect({
    operator: operatorId(home.operator),
    identity: 'owner',
    credential: { kind: 'psk', key: pskOf('owner') },
    servers: [serverId(home.serverId)],
    urls: [`ws://127.0.0.1:${port}`],
    timeoutMs: 60_000,
  })
  await establish(owner, network, [], grantees)
  await owner.close()
}

async function suffer(
  stage: Stage,
  onslaughts: readonly Onslaught[],
  quietSeconds: number,
  seconds: number,
  progress: (line: string) => void,
): Promise<Suffered> {
  const { attacker, victim } = stage
  const name = onslaughts.map(each => each.name).join('; ')
  for (const onslaught of onslaughts) await attacker.ask({ what: 'arm', name: onslaught.name })
  await waits(stage)
  await victim.probe.ask({ what: 'begin' })
  await delay(quietSeconds * 1000)
  const quiet = await waits(stage)
  const { blockedMs: quietBlockedMs } = await victim.probe.ask({ what: 'read' })

  const logged = victim.log.log.length
  const before = await Promise.all(onslaughts.map(onslaught => countOf(victim, onslaught)))
  const address = await addressOf(victim)
  const attacks = onslaughts.map(({ name }) => attacker.ask({ what: 'attack', name, address, seconds }))
  const answers = await Promise.all(attacks)
  await delay(aftermathMs)
  const attacked = await waits(stage)
  const { blockedMs, residentBytes } = await victim.probe.ask({ what: 'read' })
  const after = await Promise.all(onslaughts.map(onslaught => countOf(victim, onslaught)))

  const unnamed = onslaughts.flatMap((onslaught, at) => {
    const isCounted = !onslaught.known || (after[at] ?? 0) > (before[at] ?? 0)
    return isCounted && isLogged(victim, logged, onslaught, answers[at]?.servers ?? []) ? [] : [onslaught.name]
  })
  const ratio = p99(attacked.reads) / p99(quiet.reads)
  const more = unnamed.length > 0 ? `, not named: ${unnamed.join('; ')}` : ''
  progress(
    `${name}: p99 of reads ${p99(quiet.reads).toFixed(1)} → ${p99(attacked.reads).toFixed(1)} ms (× ${ratio.toFixed(2)}), ` +
      `of changes ${p99(quiet.writes).toFixed(1)} → ${p99(attacked.writes).toFixed(1)} ms, ` +
      `event loop blocked ${quietBlockedMs.toFixed(0)} → ${blockedMs.toFixed(0)} ms, ` +
      `${(residentBytes / mebibyte).toFixed(0)} MiB, ${answers.flatMap(({ servers }) => servers).length} attempts${more}`,
  )
  return { name, quiet, attacked, blockedMs, quietBlockedMs, residentBytes, unnamed }
}

const p99 = (values: readonly number[]): number => percentile(values, 0.99)

/** Those since it was asked last, of the clients of all servers. */
async function waits({ sessions }: Stage): Promise<Waits> {
  const answers = await Promise.all(sessions.map(session => session.ask({ what: 'read' })))
  const all = (seconds: readonly Second[]) => seconds.flatMap(({ valuesMs }) => valuesMs)
  return {
    reads: answers.flatMap(({ latencies }) => all(latencies)),
    writes: answers.flatMap(({ writes }) => all(writes)),
  }
}

/** Where its peers reach it, and no proxy between. */
async function addressOf({ log }: BenchServer): Promise<string> {
  const { fields } = await log.seen('its addresses', ({ event }) => event === 'federation.started')
  const [address = ''] = String(fields?.addresses).split(' ')
  return address.replace(/\/p2p\/.*$/, '')
}

const countOf = async ({ home }: BenchServer, { known }: Onslaught): Promise<number> =>
  known ? counted(home.folder, known) : 0

/** Whether the log says since then what it is, and of which of the servers. */
function isLogged({ log }: BenchServer, from: number, { known }: Onslaught, servers: readonly ServerId[]): boolean {
  if (!known) return true
  const of: ReadonlySet<unknown> = new Set(servers)
  return log.log.slice(from).some(({ event, fields = {} }) => {
    const isTheirs = [fields.peer, fields.from, fields.server].some(server => of.has(server))
    return (
      event === known.event && isTheirs && Object.entries(known.fields).every(([key, value]) => fields[key] === value)
    )
  })
}

function figures(suffered: readonly Suffered[], before: ProbeAnswer, after: ProbeAnswer): Figure[] {
  const pooled = (of: 'quiet' | 'attacked', what: keyof Waits) => suffered.flatMap(each => each[of][what])
  const ratios = (what: keyof Waits) => suffered.map(({ quiet, attacked }) => p99(attacked[what]) / p99(quiet[what]))
  const compared = (what: keyof Waits, name: string): Figure[] => {
    const [quiet, attacked] = [pooled('quiet', what), pooled('attacked', what)]
    return [
      { name: `${name}, p99, nobody attacks`, value: p99(quiet), unit: 'ms', samples: quiet.length },
      { name: `${name}, p99, attacked`, value: p99(attacked), unit: 'ms', samples: attacked.length },
      { name: `${name}, p99, attacked beside not`, value: p99(attacked) / p99(quiet), unit: '×', atMost: 1.2 },
      {
        name: `${name}, the same attack by attack, median`,
        value: median(ratios(what)),
        unit: '×',
        samples: suffered.length,
      },
      { name: `${name}, the same of the worst attack`, value: Math.max(...ratios(what)), unit: '×' },
    ]
  }
  const mebibytes = (bytes: number) => bytes / mebibyte
  return [
    ...compared('reads', 'clients that read'),
    ...compared('writes', 'clients that change something'),
    {
      name: 'event loop blocked, longest, nobody attacks',
      value: Math.max(...suffered.map(each => each.quietBlockedMs)),
      unit: 'ms',
    },
    {
      name: 'event loop blocked, longest, attacked',
      value: Math.max(...suffered.map(each => each.blockedMs)),
      unit: 'ms',
      atMost: 50,
    },
    { name: 'resident memory before', value: mebibytes(before.residentBytes), unit: 'MiB' },
    {
      name: 'resident memory, most after an attack',
      value: mebibytes(Math.max(...suffered.map(each => each.residentBytes))),
      unit: 'MiB',
    },
    { name: 'resident memory after all', value: mebibytes(after.residentBytes), unit: 'MiB' },
    {
      name: 'memory in use after all, beyond that before',
      value: mebibytes(after.heapBytes - before.heapBytes),
      unit: 'MiB',
      atMost: 48,
    },
    { name: 'attacks', value: suffered.flatMap(({ name }) => name.split('; ')).length, unit: '' },
    {
      name: 'attacks that log or metrics do not name',
      value: suffered.flatMap(({ unnamed }) => unnamed).length,
      unit: '',
      atMost: 0,
    },
  ]
}
