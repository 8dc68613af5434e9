/*
 * Property: whatever a server of a trusted operator does that speaks the real protocol and lies, the servers of others go on serving
 * each other and their clients while it does, take nothing of the lie, let nothing pile up, and name it: in the log, with the
 * server that did it, and by a counter. Fails when an attack is not noticed or not named, when something of it is
 * kept, when a client's command is not answered meanwhile, or when honest servers suffer for it.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { until } from '../fixtures/until.ts'
import { type Arena, openArena } from './arena.ts'
import { type Attack, attacks, bombing, bombs, ownDocument } from './attacks.ts'
import { m } from './cast.ts'
import { type HostileServer, leaving } from './hostile-server.ts'
import { overQuota, vouching } from './vouching.ts'

/** Fewer than would have a server cut off. */
const bombsPerServer = 50
/** Documents that may wait for one peer: answers, and a few more. */
const mostWaiting = 512

const test = suite<{ arena: Arena }>('hostile peers')
test.before(async context => {
  context.arena = await openArena()
})
test.after(({ arena }) => arena.stop())

/** Those that end when somebody's patience does, all at once; the others one after another. */
const slow = attacks.filter(({ known }) =>
  ['silent', 'takes-nothing', 'answers-nothing'].includes(known.labels.fault ?? ''),
)

for (const attack of [...attacks.filter(each => !slow.includes(each)), ...vouching]) {
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
    const { kept } = attack
    if (kept) assert.ok(saidOf(arena, kept).length <= kept.atMost, `${kept.event} of ${attack.name}`)
    for (const { server, lag } of node.federation.links())
      assert.ok((lag?.toSend ?? 0) <= mostWaiting, `${lag?.toSend} documents wait for ${server}`)
    assert.equal(telemetry.events('actor.failed'), [])
  } finally {
    await hostile.stop()
  }
  await ended.catch(error => {
    if (!(error instanceof Error) || error.message !== leaving) throw error
  })
  await arena.serve()
}

function isLogged(arena: Arena, { known }: Attack, { server }: HostileServer): boolean {
  const author = known.ofOther ?? server.id
  return saidOf(arena, known).some(found =>
    known.ofOperator
      ? [found.home, found.operator].includes(m)
      : [found.peer, found.from, found.server].includes(author),
  )
}

const saidOf = ({ victim }: Arena, { event, fields }: Pick<Attack['known'], 'event' | 'fields'>) =>
  victim.telemetry.events(event).filter(found => Object.entries(fields).every(([name, value]) => found[name] === value))

test('every bomb of the corpus, as an entry whose signature and chain are good, is refused, and none is kept', async ({
  arena,
}) => {
  const { telemetry, node } = arena.victim
  const before = telemetry.counter('cpns_entries_refused_total')
  const signed = bombs.length
  assert.ok(signed > 200)
  for (let from = 0; from < signed; from += bombsPerServer) {
    const hostile = await arena.hostile('first')
    const document = ownDocument(hostile, 'bombs')
    const those = bombs.slice(from, from + bombsPerServer)
    const link = await hostile.link(arena.manifests)
    await link.say(...bombing(hostile, document, those))
    const refusals = before + from + those.length
    await until(() => telemetry.counter('cpns_entries_refused_total') >= refusals, {
      what: `${refusals - before} bombs are refused`,
    })
    await hostile.stop()
    const index = await node.documents.index(document)
    assert.equal(
      index?.heads.map(({ length }) => length),
      [2],
    )
    assert.ok((await node.documents.read(document)).get('a'), 'what came before can be read')
  }
  await arena.serve()
  assert.equal(telemetry.events('actor.failed'), [])
})

test(overQuota.name, ({ arena }) => withstand(arena, overQuota))

test('after all that the honest servers are linked with each other, and neither has named the other', async ({
  arena,
}) => {
  const { victim, other } = arena
  for (const [one, peer] of [
    [victim, other],
    [other, victim],
  ] as const) {
    const { server } = peer.node.federation
    const isUp = () => one.node.federation.links().some(link => link.server === server && link.state === 'up')
    await until(isUp, { what: `the link to ${server}` })
    // Not asks: a server may hear of a grant, and ask, a moment before the other does.
    const named = ['entries.refused', 'manifest.refused', 'peer.refused'].flatMap(event =>
      one.telemetry.events(event).filter(fields => fields.peer === server || fields.from === server),
    )
    assert.equal(named, [])
  }
})

test.run()
