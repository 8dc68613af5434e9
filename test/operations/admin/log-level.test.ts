/*
 * Property: what is logged is what was asked for last, from that moment on; a level for a while goes back to the one that holds for good,
 * also when another one for a while was asked for meanwhile. Each change is in the log.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { pinoTelemetry } from '../../../src/adapters/telemetry.ts'
import { logLevelRoutes } from '../../../src/operations/admin/log-level.ts'
import { AdminRefusal } from '../../../src/operations/admin/refusal.ts'
import { logLevelControl } from '../../../src/operations/log-level.ts'
import { ManualClock } from '../../fixtures/manual-clock.ts'

const test = suite('Log level')

function rig() {
  const lines: { event: string; fields: { level: string } }[] = []
  const telemetry = pinoTelemetry({ level: 'info', destination: { write: line => void lines.push(JSON.parse(line)) } })
  const clock = new ManualClock()
  const [get, put] = logLevelRoutes(logLevelControl(telemetry, clock))
  const ask = async (body?: unknown) => {
    const asked = { params: {}, query: {}, by: undefined, body }
    const { payload } = (await (body === undefined ? get : put)?.serve(asked)) ?? {}
    return JSON.parse(String(payload))
  }
  const isLogged = (level: 'debug' | 'info') => {
    const before = lines.length
    telemetry.log(level, 'node.ready')
    return lines.length > before
  }
  return { clock, ask, isLogged, lines }
}

test('it holds from that moment on', async () => {
  const { ask, isLogged, lines } = rig()
  assert.equal(await ask(), { level: 'info' })
  assert.is(isLogged('debug'), false)
  assert.equal(await ask({ level: 'debug' }), { level: 'debug' })
  assert.is(isLogged('debug'), true)
  await ask({ level: 'error' })
  assert.is(isLogged('info'), false)
  assert.equal(
    lines.filter(({ event }) => event === 'log.level').map(({ fields }) => fields.level),
    ['debug'],
    'the log says what it leaves out from now on, unless that leaves out this too',
  )
})

test('for a while', async () => {
  const { clock, ask, isLogged } = rig()
  const { until } = await ask({ level: 'debug', forMs: 60_000 })
  assert.is(until, clock.now() + 60_000)
  await clock.advance(30_000)
  await ask({ level: 'warn', forMs: 60_000 })
  await clock.advance(59_000)
  assert.equal((await ask()).level, 'warn', 'the first one’s end has no say any more')
  await clock.advance(1_000)
  assert.equal(await ask(), { level: 'info' })
  assert.is(isLogged('info'), true)
  await ask({ level: 'debug', forMs: 60_000 })
  await ask({ level: 'warn' })
  await clock.advance(60_000)
  assert.equal(await ask(), { level: 'warn' }, 'for good means for good')
})

test('what is none is refused', async () => {
  const { ask } = rig()
  for (const body of [
    {},
    { level: 'loud' },
    { level: 'info', forMs: 0 },
    { level: 'info', forMs: 1e9 },
    { level: 'info', x: 1 },
  ]) {
    const error = await ask(body).catch(error => error)
    assert.instance(error, AdminRefusal)
    assert.is(error.status, 400)
  }
})

test.run()
