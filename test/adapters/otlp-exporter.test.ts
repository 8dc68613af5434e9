/*
 * Property: what is taken arrives at a collector, once, as OTLP over HTTP has it in JSON; and whatever the collector does (refuse, break off,
 * not be there, never answer) nothing waits for it: what cannot be sent, or has no room, is dropped and counted, said once, and what comes
 * after it has recovered arrives. Against a real HTTP server.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type ExportedSpan, type OtlpExporterOptions, otlpExporter } from '../../src/adapters/otlp-exporter.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { until } from '../fixtures/until.ts'

const test = suite('OTLP exporter')

const span = (name: string, more: Partial<ExportedSpan> = {}): ExportedSpan => ({
  ...{ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), parentId: undefined, name },
  ...{ startedMs: 1_790_000_000_123, tookMs: 1.5, outcome: 'ok', attributes: {} },
  ...more,
})

/** A collector that answers as `answer` says; `undefined`: never. */
async function collector(answer: () => number | undefined) {
  const bodies: { path: string; json: unknown }[] = []
  const server: Server = createServer(async (request, response) => {
    let text = ''
    for await (const piece of request) text += String(piece)
    const status = answer()
    if (status === undefined) return
    if (status === 200) bodies.push({ path: request.url ?? '', json: JSON.parse(text) })
    response.writeHead(status).end('{}')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const end = () => {
    server.closeAllConnections()
    server.close()
  }
  return { url: `http://127.0.0.1:${port}`, bodies, end, [Symbol.dispose]: end }
}

function exporting(url: string, more: Partial<OtlpExporterOptions> = {}) {
  const telemetry = new RecordingTelemetry()
  const resource = { 'service.name': 'cpns' }
  return { telemetry, exporter: otlpExporter({ url, resource, version: '1.2.3', telemetry, everyMs: 20, ...more }) }
}

test('what is taken arrives as it is described', async () => {
  using at = await collector(() => 200)
  const { exporter, telemetry } = exporting(`${at.url}/otlp/`)
  exporter.take(span('command', { attributes: { method: 'pn.get', bytes: 7, share: 0.5, isGuest: false } }))
  exporter.take(span('store.commit', { parentId: 'c'.repeat(16), outcome: 'failed' }))
  exporter.take(span('command', { outcome: '404' }))
  await until(() => telemetry.counter('cpns_spans_exported_total') === 3, { what: 'all have arrived' })
  await exporter.stop()
  assert.is(at.bodies[0]?.path, '/otlp/v1/traces')
  const requests = JSON.stringify(at.bodies.map(({ json }) => json))
  const [first] = at.bodies.map(({ json }) => json) as [
    { resourceSpans: [{ resource: object; scopeSpans: [{ scope: object; spans: object[] }] }] },
  ]
  const [{ resource, scopeSpans }] = first.resourceSpans
  assert.equal(resource, { attributes: [{ key: 'service.name', value: { stringValue: 'cpns' } }] })
  assert.equal(scopeSpans[0].scope, { name: 'cpns', version: '1.2.3' })
  assert.equal(scopeSpans[0].spans[0], {
    ...{ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), name: 'command', kind: 1 },
    ...{ startTimeUnixNano: '1790000000123000000', endTimeUnixNano: '1790000000124500000' },
    attributes: [
      { key: 'method', value: { stringValue: 'pn.get' } },
      { key: 'bytes', value: { intValue: '7' } },
      { key: 'share', value: { doubleValue: 0.5 } },
      { key: 'isGuest', value: { boolValue: false } },
      { key: 'outcome', value: { stringValue: 'ok' } },
    ],
    status: {},
  })
  assert.ok(requests.includes(`"parentSpanId":"${'c'.repeat(16)}"`))
  assert.is(requests.split('"code":2').length - 1, 1, 'a status below 500 is no fault of the server')
})

test('a collector that refuses is dropped for, told of once, and gone on with', async () => {
  let status = 503
  using at = await collector(() => status)
  const { exporter, telemetry } = exporting(at.url)
  for (const round of [1, 2, 3]) {
    exporter.take(span('command'))
    await until(() => telemetry.counter('cpns_spans_dropped_total', { reason: 'failed' }) === round, {
      what: 'it is dropped',
    })
  }
  assert.is(telemetry.events('telemetry.export-failed').length, 1)
  assert.match(String(telemetry.events('telemetry.export-failed')[0]?.message), /answered 503/)
  status = 200
  exporter.take(span('command'))
  await until(() => telemetry.counter('cpns_spans_exported_total') === 1, { what: 'it arrives' })
  assert.is(telemetry.events('telemetry.exporting').length, 1)
  await exporter.stop()
})

test('none that is there, or one that never answers, holds nobody up', async () => {
  using silent = await collector(() => undefined)
  const { exporter, telemetry } = exporting(silent.url, { maxWaiting: 10, everyMs: 600_000 })
  for (let each = 0; each < 25; each++) exporter.take(span('command'))
  assert.is(telemetry.counter('cpns_spans_dropped_total', { reason: 'full' }), 15)
  await exporter.stop()
  assert.is(telemetry.counter('cpns_spans_dropped_total', { reason: 'failed' }), 10)

  const gone = await collector(() => 200)
  gone.end()
  const nowhere = exporting(gone.url)
  nowhere.exporter.take(span('command'))
  await nowhere.exporter.stop()
  assert.is(nowhere.telemetry.counter('cpns_spans_dropped_total', { reason: 'failed' }), 1)
})

test.run()
