/*
 * Property: an operator that starts its servers anew, one after another, loses nothing that was acknowledged and does nothing
 * twice, and no client of it is without a server; `cpns status` and `cpns drain` reach the node that runs in a folder, and say
 * plainly when there is none. Three real processes, drained by `cpns drain` and by SIGTERM, with clients that write all the
 * while. It would fail if a drained server went before others had its last entries, if a client were dropped with an answer
 * still due, or if a command that was repeated elsewhere were executed again.
 */
import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { cpns } from '../../examples/support/server-process.ts'
import { operatorId, pnEstablish, pnInventory, pnUpdate, type Session } from '../../src/client/node.ts'
import { until } from '../fixtures/until.ts'
import { linked, newCommand, openStage, type Server, type Stage } from './stage.ts'

const test = suite('Draining')
const operator = operatorId('a.example')

/** A Personal Network holds some thousand PNEs: fewer than can be written without a pause while servers start. */
const paceMs = 100

/** A client that writes, one command after another: each is repeated until it is acknowledged. */
function writer(stage: Stage, session: Session, pnId: string) {
  const acknowledged: string[] = []
  const states: string[] = []
  session.listen({ state: ({ kind }) => void states.push(kind) })
  let isOver = false
  stage.atEnd(() => {
    isOver = true
  })
  const running = (async () => {
    await repeated(() => session.call(pnEstablish, { ...establishing, pnId }))
    for (let turn = 0; !isOver; turn++) {
      const pneId = `element-${turn}`
      const command = { ...newCommand(), home: operator, pnId, operation: 'add' as const, pnes: [{ operator, pneId }] }
      await repeated(() => session.call(pnUpdate, command))
      acknowledged.push(pneId)
      await new Promise(resolve => setTimeout(resolve, paceMs))
    }
  })()
  const establishing = { ...newCommand(), alias: pnId }
  // A test that fails closes the session under it.
  running.catch(() => {})
  return {
    acknowledged,
    states,
    async end() {
      isOver = true
      await running
    },
  }
}

const repeated = <T>(call: () => Promise<T>): Promise<T> =>
  until(call as () => Promise<NonNullable<T>>, { what: 'a command is acknowledged', everyMs: 20 })

const status = async (server: Server) =>
  JSON.parse(await cpns('status', '--json', '--config', server.home.config)) as {
    state: string
    level: string
    isReady: boolean
    unshared: number
    links: { state: string }[]
  }

test('a rolling restart under traffic loses nothing, doubles nothing, and leaves no client without a server', async () => {
  await using stage: Stage = await openStage()
  const servers: Server[] = [...(await stage.federation(operator, operator, operator))]
  const writers = await Promise.all(
    [0, 1, 2].map(async at => {
      const order = [...servers.slice(at), ...servers.slice(0, at)]
      const session = await stage.session(
        order[0] as Server,
        `owner-${at}`,
        await stage.options(`owner-${at}`, ...order),
      )
      return writer(stage, session, `network-${at}`)
    }),
  )
  const written = (least: number) =>
    until(() => writers.every(({ acknowledged }) => acknowledged.length >= least), { what: 'all write' })
  await written(3)

  const socket = join(dirname(servers[0]?.home.config ?? ''), 'data/control.sock')
  assert.is((await stat(socket)).mode & 0o777, 0o600)
  const first = await status(servers[0] as Server)
  assert.is(first.state, 'serving')
  assert.is(first.isReady, ['normal', 'elevated'].includes(first.level))
  assert.equal(
    first.links.map(({ state }) => state),
    ['up', 'up'],
  )

  for (const [at, server] of servers.entries()) {
    if (at === 0) {
      const said = await cpns('drain', '--within', '60s', '--config', server.home.config)
      assert.match(said, /no client had to be closed/)
      assert.match(said, /Everything that it held is held by another server/)
    }
    // SIGTERM drains too; to the one that was drained by the command it comes too late to matter.
    assert.is(await server.process.stop(), 0, 'exit code')
    const drained = await server.process.seen('that it has drained', ({ event }) => event === 'node.drained')
    assert.is(drained.fields?.alone, 0, `alone: ${drained.fields?.documents}`)
    servers[at] = await stage.start(server.home)
    await linked(...servers)
    const least = Math.max(...writers.map(({ acknowledged }) => acknowledged.length))
    await written(least + 2)
  }

  for (const each of writers) await each.end()
  for (const [at, { acknowledged, states }] of writers.entries()) {
    assert.not.ok(states.includes('closed'))
    for (const server of servers) {
      const reader = await stage.session(server, `owner-${at}`)
      const members = await until(
        async () => {
          const { members } = await reader.call(pnInventory, { home: operator, pnId: `network-${at}` })
          return members.length >= acknowledged.length ? members : undefined
        },
        { what: 'every server has what was acknowledged' },
      )
      assert.equal(members.map(({ pneId }) => pneId).sort(), [...acknowledged].sort())
      reader.close()
    }
  }
})

test('where no node runs, or not for this user, the commands say so', async () => {
  await using stage = await openStage()
  const home = await stage.folder('idle', 'b.example')
  for (const command of ['status', 'drain']) {
    const failure = await cpns(command, '--config', home.config).then(() => undefined, String)
    assert.match(failure ?? '', /No node runs there/)
  }
})

test.run()
