/*
 * Property: a node that is told of a collector sends it spans of what it does, those that belong together in one trace, also in one that a
 * client has begun; and nothing that names a user, or that one has said. Without one, and for the share that is not wanted, nothing leaves.
 */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { asyncScope } from '../../../src/adapters/span-scope.ts'
import { pnEstablish } from '../../../src/client/node.ts'
import { createSpanHub, type EndedSpan } from '../../../src/operations/tracing/hub.ts'
import type { SpanContext } from '../../../src/operations/tracing/trace-context.ts'
import { ManualClock } from '../../fixtures/manual-clock.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'
import { realNode } from '../admin/real-node.ts'

const test = suite('Exported traces')

interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string } }[]
}
interface Request {
  readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly Span[] }[] }[]
}

test('of a real node, to a real collector', async () => {
  const texts: string[] = []
  const collector = createServer(async (request, response) => {
    let text = ''
    for await (const piece of request) text += String(piece)
    texts.push(text)
    response.end('{}')
  })
  await new Promise<void>(resolve => collector.listen(0, '127.0.0.1', resolve))
  const { port } = collector.address() as AddressInfo
  try {
    const running = await realNode({ settings: { 'telemetry.otlp': `http://127.0.0.1:${port}` } })
    const session = await running.connectOwner()
    const commandId = randomUUID()
    await session.call(pnEstablish, { commandId, alias: 'Planted-alias', pnId: 'planted-pn' })
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    const http = running.node.clientUrl().replace(/^ws/, 'http')
    const path = `/v1/media/a.example/planted-user/${'A'.repeat(43)}`
    assert.is((await fetch(`${http}${path}`, { headers: { traceparent } })).status, 401)
    session.close()
    // What waits is sent before it has ended.
    await running.end()

    const spans = texts.flatMap(text =>
      (JSON.parse(text) as Request).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    )
    const isOf = (method: string) => (span: Span) =>
      span.attributes.some(({ key, value }) => key === 'method' && value.stringValue === method)
    const command = spans.find(isOf('pn.establish'))
    assert.ok(command, texts.join('\n'))
    const family = spans.filter(({ traceId }) => traceId === command.traceId)
    const write = family.find(({ name }) => name === 'document.write')
    assert.ok(write, 'the command wrote')
    const commit = family.find(({ name }) => name === 'store.commit')
    assert.ok(commit, 'what was written was committed')
    const ids = new Set(family.map(({ spanId }) => spanId))
    for (const { name, parentSpanId } of family) {
      if (name !== 'command') assert.ok(parentSpanId !== undefined && ids.has(parentSpanId), name)
    }
    const media = spans.find(({ name }) => name === 'media')
    assert.equal([media?.traceId, media?.parentSpanId], ['a'.repeat(32), 'b'.repeat(16)])
    for (const secret of ['planted', 'Planted', 'owner', commandId]) assert.not(texts.join().includes(secret), secret)
  } finally {
    collector.closeAllConnections()
    collector.close()
  }
})

test('a share of the traces is exported, whole or not at all, whatever clients want', () => {
  const taken: EndedSpan[] = []
  const scope = asyncScope<SpanContext>()
  const random = seededRandom('share')
  const exporting = { take: (span: EndedSpan) => void taken.push(span), ratio: 0.25, scope }
  const hub = createSpanHub({ clock: new ManualClock(), random, exporting })
  for (let each = 0; each < 400; each++) {
    const wanted = each % 2 === 0 ? `00-${'a'.repeat(31)}${each % 10}-${'b'.repeat(16)}-01` : undefined
    const outer = hub.begin('command', {}, {}, wanted)
    outer?.within(() => hub.begin('store.commit', {})?.end('ok'))
    outer?.end('ok')
  }
  const [commands, commits] = ['command', 'store.commit'].map(of => taken.filter(({ name }) => name === of))
  assert.is(commands?.length, commits?.length)
  assert.ok((commands?.length ?? 0) > 50 && (commands?.length ?? 0) < 150, String(commands?.length))
  const unwanted = hub.begin('command', {}, {}, `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`)
  const before = taken.length
  unwanted?.end('ok')
  assert.is(taken.length, before, 'a client that wants none has none')
})

test.run()
