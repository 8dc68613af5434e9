/*
 * Property: the description that a node gives of its admin API has every route of it, and what can be asked without knowing anything
 * answers as it says. Fails when a route is left out, or answers with a field, a status or a type that is not described.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { openApi } from '../../../src/operations/admin/openapi.ts'
import { json, route } from '../../../src/operations/admin/route.ts'
import { assertDescribed, descriptionAt } from './described.ts'
import { realNode } from './real-node.ts'

const test = suite('OpenAPI description of the admin API')

test('every route of a node is described, and answers so', async () => {
  await using running = await realNode()
  const { node, admin } = running
  const { adminUrl = '' } = node
  const description = await descriptionAt(adminUrl)
  const described = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`),
  )
  const served = node.adminRoutes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
  assert.equal(described.toSorted(), served.toSorted())

  const ask = await admin('read')
  for (const [path, { get }] of Object.entries(description.paths)) {
    if (!get || get.parameters.some(({ required }) => required)) continue
    const answer = await ask(path)
    await assertDescribed(description, 'GET', path, answer)
  }
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
