/*
 * Property: the description that a node gives of its admin API has every route of it, and what can be asked without knowing anything
 * answers as it says. Fails when a route is left out, or answers with a field, a status or a type that is not described.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { createToken } from '../../../src/adapters/admin-tokens.ts'
import { systemClock } from '../../../src/adapters/clock.ts'
import { openApi } from '../../../src/operations/admin/openapi.ts'
import { json, route } from '../../../src/operations/admin/route.ts'
import { adminRoutes } from '../../../src/operations/admin/routes.ts'
import { statusOf } from '../../../src/operations/admin/status.ts'
import { createFeed } from '../../../src/operations/console/feed.ts'
import { adminTokensPath } from '../../../src/operations/control-path.ts'
import { assertDescribed, descriptionAt } from './described.ts'
import { realNode } from './real-node.ts'

const test = suite('OpenAPI description of the admin API')

test('every route of a node is described, and answers so', async () => {
  const { node, configuration, at, end } = await realNode()
  const { adminUrl = '' } = node
  const description = await descriptionAt(adminUrl)
  const { operator, server } = node.federation
  const status = statusOf({ operator, server, node, draining: node.draining, clock: systemClock() })
  const { draining, inspection, telemetry } = node
  const recent = { events: () => [] }
  const feed = createFeed({ node, status, draining, recent, counters: telemetry.counters, clock: systemClock() })
  const store = { async *dump() {} }
  const routes = adminRoutes({ node, draining, status, inspection, feed, store })
  const described = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`),
  )
  const served = routes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
  assert.equal(described.toSorted(), served.toSorted())

  const wanted = { name: 'test', scope: 'read', lifetimeMs: 600_000 } as const
  const { text } = await createToken(adminTokensPath(configuration, at), wanted, Date.now())
  for (const [path, { get }] of Object.entries(description.paths)) {
    if (!get || get.parameters.some(({ required }) => required)) continue
    const answer = await fetch(`${adminUrl}${path}`, { headers: { authorization: `Bearer ${text}` } })
    await assertDescribed(description, 'GET', path, answer)
  }
  feed.stop()
  await end()
})

test('parameters, bodies and scopes are in it', () => {
  const put = route({
    method: 'PUT',
    path: '/v1/things/:name',
    scope: 'operate',
    summary: 'Changes a thing.',
    params: z.strictObject({ name: z.string() }),
    query: z.strictObject({ times: z.coerce.number().int().max(9).default(1) }),
    body: z.strictObject({ to: z.string() }),
    answers: { 200: json('It is changed.', z.object({ by: z.string() })) },
    handle: (_, answer) => answer(200, { by: 'x' }),
  })
  const found = openApi([put], '1').paths['/v1/things/{name}']?.put
  assert.is(found?.operationId, 'putThingsName')
  assert.equal(found?.security, [{ token: [] }])
  assert.equal(
    found?.parameters.map(({ name, in: where, required, schema: { type } }) => [name, where, required, type]),
    [
      ['name', 'path', true, 'string'],
      ['times', 'query', false, 'integer'],
    ],
  )
  assert.equal(found?.requestBody?.content['application/json'].schema.required, ['to'])
})

test.run()
