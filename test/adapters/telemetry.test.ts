/*
 * Property: every event becomes one line of JSON in which no field can pass for the level, the time or the event; counters
 * add up by name and labels; and neither ever throws. It would fail if a peer's words could forge a log line, or if a full
 * disk under the log could stop the node.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { sampleName } from '../../src/adapters/metrics.ts'
import { pinoTelemetry } from '../../src/adapters/telemetry.ts'

function recorder() {
  const lines: string[] = []
  return { lines, destination: { write: (line: string) => void lines.push(line) } }
}

test('one event, one line, and fields stay fields', () => {
  const { lines, destination } = recorder()
  const telemetry = pinoTelemetry({ level: 'info', destination })
  telemetry.log('warn', 'peer.refused', { level: 'debug', event: 'all.well', time: 0, reason: 'a\n{"level":"info"}' })
  telemetry.log('debug', 'link.not-told')
  telemetry.log('error', 'node.failed')
  assert.is(lines.length, 2)
  assert.ok(lines.every(line => line.indexOf('\n') === line.length - 1))
  const { time, ...line } = JSON.parse(lines[0] ?? '')
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000)
  assert.equal(line, {
    level: 'warn',
    event: 'peer.refused',
    fields: { level: 'debug', event: 'all.well', time: 0, reason: 'a\n{"level":"info"}' },
  })
  assert.is(JSON.parse(lines[1] ?? '').event, 'node.failed')
})

test('counters add up by name and labels, in whatever order the labels come', () => {
  const telemetry = pinoTelemetry({ level: 'error', destination: recorder().destination })
  telemetry.count('cpns_entries_total')
  telemetry.count('cpns_entries_total', {}, 4)
  telemetry.count('cpns_refused_total', { reason: 'malformed', side: 'in' })
  telemetry.count('cpns_refused_total', { side: 'in', reason: 'malformed' })
  telemetry.count('cpns_refused_total', { side: 'out', reason: 'malformed' })
  const before = telemetry.counters()
  telemetry.count('cpns_entries_total')
  assert.equal(before, [
    { name: 'cpns_entries_total', labels: {}, value: 5 },
    { name: 'cpns_refused_total', labels: { reason: 'malformed', side: 'in' }, value: 2 },
    { name: 'cpns_refused_total', labels: { side: 'out', reason: 'malformed' }, value: 1 },
  ])
})

test('a sample is named as Prometheus names it', () => {
  assert.is(sampleName({ name: 'cpns_entries_total', labels: {}, value: 5 }), 'cpns_entries_total')
  assert.is(
    sampleName({ name: 'cpns_refused_total', labels: { side: 'in', reason: 'malformed' }, value: 1 }),
    'cpns_refused_total{reason="malformed",side="in"}',
  )
})

test('a line that cannot be written is counted, not thrown', () => {
  const telemetry = pinoTelemetry({
    level: 'info',
    destination: {
      write() {
        throw new Error('disk full')
      },
    },
  })
  telemetry.log('info', 'node.ready')
  telemetry.log('info', 'node.ready', { field: 1 })
  assert.equal(telemetry.counters(), [{ name: 'cpns_log_lines_lost_total', labels: {}, value: 2 }])
})

test.run()
