/*
 * Property: whatever a server of a trusted operator does that speaks the real protocol and lies, the servers of others go on serving
 * each other and their clients while it does, take nothing of the lie, let nothing pile up, and name it: in the log, with the
 * server that did it, and by a counter. Fails when an attack is not noticed or not named, when something of it is
 * kept, when a client's command is not answered meanwhile, or when honest servers suffer for it.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { until } from '../fixtures/until.ts'
import { type Arena, m, openArena } from './arena.ts'
import { type Attack, attacks } from './attacks.ts'
import type { HostileServer } from './hostile-server.ts'

const test = suite<{ arena: Arena }>('hostile peers')
test.before(async context => {
  context.arena = await openArena()
})
test.after(({ arena }) => arena.stop())

/** Those that end when somebody's patience does, all at once; the others one after another. */
const slow = attacks.filter(({ known }) =>
  ['silent', 'takes-nothing', 'answers-nothing'].includes(known.labels.fault ?? ''),
)

for (const attack of attacks.filter(each => !slow.includes(each))) {
  test(attack.name, ({ arena }) => withstand(arena, attack))
}

test(slow.map(({ name }) => name).join('; '), async ({ arena }) => {
  await Promise.all(slow.map(attack => withstand(arena, attack)))
})

async function withstand(arena: Arena, attack: Attack): Promise<void> {
  const { telemetry, node } = arena.victim
  const hostile = await arena.hostile(attack.order)
  const { counter, labels } = attack.known
  const before = telemetry.counter(counter, labels)
  const ended = attack.launch(arena, hostile)
  ended.catch(() => {}) // told below
  try {
    await Promise.all([
      arena.serve(),
      until(() => telemetry.counter(counter, labels) > before, { what: `${counter} of ${attack.name}` }),
      until(() => isLogged(arena, attack, hostile), { what: `${attack.known.event} of ${attack.name}` }),
    ])
    for (const [document, entries] of attack.held?.(hostile) ?? []) {
      const index = await node.documents.index(document)
      const held = index?.heads.reduce((sum, { length }) => sum + length, 0) ?? 0
      assert.ok(held <= entries, `${held} entries of ${document} are held`)
    }
    assert.equal(telemetry.events('actor.failed'), [])
  } finally {
    await hostile.stop()
  }
  await ended
  await arena.serve()
}

function isLogged({ victim }: Arena, { known: { event, fields } }: Attack, { server }: HostileServer): boolean {
  return victim.telemetry.events(event).some(found => {
    const isOfIt = [found.peer, found.from, found.server].includes(server.id)
    return isOfIt && Object.entries(fields).every(([name, value]) => found[name] === value)
  })
}

test('the honest servers have one link with each other, and it never was down', ({ arena: { victim, other } }) => {
  for (const [one, peer] of [
    [victim, other],
    [other, victim],
  ] as const) {
    const up = one.node.federation.links().filter(({ state, operator }) => state === 'up' && operator !== m)
    assert.equal(
      up.map(({ server }) => server),
      [peer.node.federation.server],
    )
  }
})

test.run()
