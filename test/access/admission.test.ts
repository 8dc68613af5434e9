/*
 * Proves: an overloaded server turns strangers away before it does any public-key cryptography, and says where to go; who
 * resumes and who is an emergency pass; nobody goes round in a loop; forged, replayed, expired and misdirected tickets are
 * worth nothing; a client that is sent on arrives. Real websockets, the SDK's client.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { AccessOptions } from '../../src/access/create-access.ts'
import { type Arrival, createAdmission } from '../../src/access/load/admission.ts'
import type { LoadLevel } from '../../src/access/load/level.ts'
import { type Candidate, chooseTarget, reportStaleMs } from '../../src/access/load/targets.ts'
import { defaultPolicies } from '../../src/access/policy/policies.ts'
import { createRedirectTickets } from '../../src/access/redirect-tickets.ts'
import { createResumeTickets } from '../../src/access/resume-tickets.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import type { ServerId } from '../../src/ports/names.ts'
import { SimulatedLoadProbe } from '../../src/simulation/load-probe.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { until } from '../fixtures/until.ts'
import { authenticateAt, crypto, macKeys, operator, type Rig, sessionAt, startRig } from './rig.ts'

const test = suite('Admission')
const [here, there] = operator.servers.map(({ id }) => id) as [ServerId, ServerId]

const tickets = (self: ServerId, clock = new ManualClock()) =>
  createRedirectTickets({
    ...{ operator: operator.id, self, macKeys: () => macKeys, crypto, clock, lifetimeMs: 30_000 },
    random: seededRandom(`tickets of ${self}`),
  })

test('a redirect ticket is good at its target, once, until it ends', () => {
  const clock = new ManualClock()
  const [from, to] = [tickets(here, clock), tickets(there, clock)]
  const ticket = from.issue(there, [here])
  assert.is(from.take(ticket), undefined, 'misdirected')
  const other = `${ticket.slice(0, -2)}${ticket.endsWith('AA') ? 'BB' : 'AA'}`
  assert.is(to.take(other), undefined, 'forged')
  assert.is(to.take(`${ticket}.x`), undefined)
  assert.equal(to.take(ticket)?.visited, [here])
  assert.is(to.take(ticket), undefined, 'replayed')
  const late = from.issue(there, [])
  clock.advance(30_000)
  assert.is(to.take(late), undefined, 'expired')
})

test('a resume ticket is the operator’s, and its key is its holder’s', () => {
  const clock = new ManualClock()
  const resumes = createResumeTickets({
    operator: operator.id,
    macKeys: () => macKeys,
    crypto,
    clock,
    lifetimeMs: 1_000,
  })
  const credential = { kind: 'psk', key: new Uint8Array(32).fill(1) } as const
  const issued = resumes.issue({ identity: 'alice', class: 'emergency', credential })
  const found = resumes.check(issued.ticket)
  assert.is(found?.resume.class, 'emergency')
  assert.ok(found && resumes.isFor(found.resume, credential))
  assert.not(
    found && resumes.isFor(found.resume, { kind: 'psk', key: new Uint8Array(32).fill(2) }),
    'another credential',
  )
  assert.is(Buffer.from(found?.key ?? []).toString('base64url'), issued.key)
  const foreign = createResumeTickets({
    ...{ operator: operator.id, crypto, clock, lifetimeMs: 1_000 },
    macKeys: () => [{ version: 1, key: new Uint8Array(32).fill(9) }],
  })
  assert.is(foreign.check(issued.ticket), undefined)
  clock.advance(1_000)
  assert.is(resumes.check(issued.ticket), undefined)
})

test('a target is freer, unvisited, heard of lately, and chosen by what it has free', () => {
  const candidate = (server: string, freeCapacity: number, reportedMs = 0): Candidate => ({
    server: server as ServerId,
    urls: [`wss://${server}.a.example`],
    freeCapacity,
    reportedMs,
  })
  const all = [candidate('b', 0.6), candidate('c', 0.2), candidate('d', 0.05), candidate('stale', 1, -10_000)]
  const own = { freeCapacity: 0.1, visited: [] }
  const anyone = defaultPolicies.rules('standard')
  const counts = new Map<string, number>()
  for (let index = 0; index < 1_000; index++) {
    const chosen = chooseTarget(all, anyone, own, reportStaleMs, index / 1_000)?.server ?? 'none'
    counts.set(chosen, (counts.get(chosen) ?? 0) + 1)
  }
  assert.equal(
    [...counts],
    [
      ['b', 750],
      ['c', 250],
    ],
  )
  assert.is(chooseTarget(all, anyone, { ...own, visited: ['b', 'c'] as ServerId[] }, 0, 0.5), undefined)
})

function admissionAt(level: LoadLevel, candidates: readonly Candidate[] = [], isOn = true) {
  return createAdmission({
    self: here,
    monitor: { level, freeCapacity: level === 'normal' ? 0.5 : 0 },
    candidates: () => candidates,
    issue: target => `ticket for ${target}`,
    policies: defaultPolicies,
    isOn,
    limits: { emergencyPerSecond: 2, addressBurst: 1_000 },
    clock: new ManualClock(),
    random: seededRandom('admission'),
    telemetry: new RecordingTelemetry(),
  })
}
const resumed = (kind: 'standard' | 'emergency'): Arrival => ({
  address: '192.0.2.1',
  resume: { identity: 'alice', class: kind, credential: 'tag', expires: 1 },
})
const stranger: Arrival = { address: '192.0.2.1' }

test('who passes at which level', () => {
  const kinds = (arrival: Arrival) =>
    (['normal', 'elevated', 'overloaded', 'shedding', 'draining'] as const).map(
      level => admissionAt(level).decide(arrival).kind,
    )
  assert.equal(kinds(stranger), ['admitted', 'admitted', 'direct', 'direct', 'direct'])
  assert.equal(kinds(resumed('standard')), ['admitted', 'admitted', 'admitted', 'direct', 'direct'])
  assert.equal(kinds(resumed('emergency')), ['admitted', 'admitted', 'admitted', 'admitted', 'direct'])
  const shedding = admissionAt('shedding')
  const emergencies = Array.from({ length: 4 }, () => shedding.decide(resumed('emergency')).kind)
  assert.equal(emergencies, ['admitted', 'admitted', 'direct', 'direct'], 'so many a second')
  assert.is(admissionAt('shedding', [], false).decide(stranger).kind, 'admitted', 'off')
})

test('three overloaded servers end in direct fallback, never in a loop', () => {
  const names = ['s1', 's2', 's3'] as ServerId[]
  const candidates = names.map(server => ({ server, urls: ['wss://x.example'], freeCapacity: 0.5, reportedMs: 0 }))
  const visited: ServerId[] = []
  for (let hops = 0; ; hops++) {
    assert.ok(hops <= 3, 'it ends')
    const verdict = admissionAt('overloaded', candidates).decide({
      ...stranger,
      visited,
    })
    if (verdict.kind === 'direct') break
    assert.is(verdict.kind, 'redirected')
    if (verdict.kind !== 'redirected') break
    assert.not(visited.includes(verdict.server))
    visited.push(verdict.server)
  }
})

test('one address has so many attempts', () => {
  const admission = admissionAt('normal')
  const kinds = new Set<string>()
  for (let index = 0; index < 1_001; index++) kinds.add(admission.decide(stranger).kind)
  assert.equal([...kinds], ['admitted', 'limited'])
  assert.is(admission.decide({ address: '192.0.2.2' }).kind, 'admitted')
})

const busy = { loopDelayMs: 200, utilisation: 1, memory: 0 }

async function overload(rig: Rig, probe: SimulatedLoadProbe): Promise<void> {
  probe.current = busy
  await until(() => rig.access.monitor.level === 'overloaded', { what: 'the server is overloaded' })
}

async function refusalOf(work: Promise<unknown>): Promise<RequestRefused> {
  try {
    await work
  } catch (error) {
    if (error instanceof RequestRefused) return error
    throw error
  }
  throw new Error('It was not refused.')
}

test('under overload a stranger is told OVERLOADED, never that it failed; who resumes comes in without a signature', async () => {
  const probe = new SimulatedLoadProbe()
  const rig = await startRig({ probe })
  const alice = await sessionAt(rig.base)
  const { resume } = await authenticateAt(rig.base, 'alice')
  assert.ok(resume)
  await overload(rig, probe)
  const refused = await refusalOf(authenticateAt(rig.base, 'bob'))
  assert.is(`${refused.status} ${refused.reason} ${refused.redirect?.action}`, '503 OVERLOADED direct')
  assert.ok((refused.retryAfterMs ?? 0) > 0)
  const back = await authenticateAt(rig.base, 'alice', { resume })
  assert.is(back.identity, 'alice')
  const foreign = await refusalOf(authenticateAt(rig.base, 'bob', { resume }))
  assert.is(foreign.status, 401, 'the ticket is for its holder')
  const forged = { ...resume, ticket: `${resume.ticket.slice(0, -3)}AAA` }
  assert.is((await refusalOf(authenticateAt(rig.base, 'alice', { resume: forged }))).status, 503)
  assert.is(alice.state.kind, 'connected', 'who is there stays')
  probe.current = { loopDelayMs: 0, utilisation: 0, memory: 0 }
  await until(() => rig.access.monitor.level !== 'overloaded', { what: 'it is well again' })
  assert.is((await authenticateAt(rig.base, 'bob')).identity, 'bob')
  alice.close()
  await rig.stop()
})

/** What two servers of an operator say to each other of their load, at once and in memory. */
function linkedPair() {
  const said = new Map<ServerId, { usedPercent: number; atMs: number }>()
  return (self: ServerId): NonNullable<AccessOptions['federation']> => ({
    reportLoad: usedPercent => void said.set(self, { usedPercent, atMs: performance.now() }),
    loads: () => new Map([...said].filter(([server]) => server !== self)),
  })
}

test('a client is sent on to the server that has room, and arrives', async () => {
  const probes = [new SimulatedLoadProbe(), new SimulatedLoadProbe()]
  const federation = linkedPair()
  const bases = new Map<ServerId, string>()
  federation(there).reportLoad(0)
  const urlsOf = (server: ServerId) => [bases.get(server) ?? '']
  const rigs: Rig[] = []
  for (const [index, server] of [here, there].entries()) {
    const rig = await startRig({
      server: index as 0 | 1,
      probe: probes[index] as SimulatedLoadProbe,
      federation: federation(server),
      urlsOf,
    })
    rigs.push(rig)
    bases.set(server, rig.base)
  }
  const [full, free] = rigs as [Rig, Rig]
  await overload(full, probes[0] as SimulatedLoadProbe)
  const redirected = async () => (await refusalOf(authenticateAt(full.base, 'bob'))).redirect?.server === there
  await until(redirected, { what: 'the other server is known to have room' })
  const session = await sessionAt(full.base, 'bob')
  assert.equal(session.state, { kind: 'connected', server: there, url: free.base })
  session.close()

  await overload(free, probes[1] as SimulatedLoadProbe)
  const refused = await refusalOf(sessionAt(full.base, 'bob'))
  assert.is(refused.redirect?.action, 'direct', 'nobody has room: no loop')
  for (const rig of rigs) await rig.stop()
})

test('a server that stops sends its clients on first: none of them is without a connection', async () => {
  const federation = linkedPair()
  const bases = new Map<ServerId, string>()
  const urlsOf = (server: ServerId) => [bases.get(server) ?? '']
  const limits = { drainMs: 8_000 }
  const leaving = await startRig({ server: 0, federation: federation(here), urlsOf, limits })
  const staying = await startRig({ server: 1, federation: federation(there), urlsOf })
  bases.set(here, leaving.base).set(there, staying.base)
  federation(there).reportLoad(0)
  const sessions = await Promise.all(Array.from({ length: 10 }, () => sessionAt(leaving.base)))
  const states: string[] = []
  for (const session of sessions) session.listen({ state: ({ kind }) => void states.push(kind) })
  await leaving.stop()
  assert.equal(
    sessions.map(({ state }) => state),
    sessions.map(() => ({ kind: 'connected', server: there, url: staying.base })),
  )
  assert.not(states.includes('connecting'), 'make before break')
  assert.is(leaving.telemetry.counter('cpns_access_closed_total', { why: 'shuttingDown' }), 0)
  for (const session of sessions) session.close()
  await staying.stop()
})

test('who is sent to a server that has no room yet tries again there, and is connected all the time', async () => {
  const federation = linkedPair()
  const bases = new Map<ServerId, string>()
  const urlsOf = (server: ServerId) => [bases.get(server) ?? '']
  const leaving = await startRig({ server: 0, federation: federation(here), urlsOf, limits: { drainMs: 8_000 } })
  const staying = await startRig({
    server: 1,
    federation: federation(there),
    urlsOf,
    limits: { maxConnections: 1 },
    load: { thresholds: { connections: [2, 2, 2] } },
  })
  bases.set(here, leaving.base).set(there, staying.base)
  federation(there).reportLoad(0)
  const only = await sessionAt(staying.base)
  const session = await sessionAt(leaving.base)
  const states: string[] = []
  session.listen({ state: ({ kind }) => void states.push(kind) })
  const stopped = leaving.stop()
  const refused = () => staying.telemetry.counter('cpns_access_upgrades_refused_total', { status: '503' }) > 0
  await until(refused, { what: 'the server that stays has no room' })
  only.close()
  await stopped
  assert.equal(session.state, { kind: 'connected', server: there, url: staying.base })
  assert.not(states.includes('connecting'), 'make before break')
  session.close()
  await staying.stop()
})

test('a redirection to a server that the client does not know is not followed', async () => {
  const probe = new SimulatedLoadProbe()
  const federation = linkedPair()
  const rig = await startRig({ probe, federation: federation(here), urlsOf: () => ['ws://127.0.0.1:9'] })
  federation(there).reportLoad(0)
  await overload(rig, probe)
  const only = await refusalOf(sessionAt(rig.base, 'bob', { servers: [here] }))
  assert.ok(only.status === 307 || only.status === 503)
  await rig.stop()
})

test.run()
