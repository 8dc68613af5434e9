import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { openRpc } from '../../src/access/openrpc.ts'
import { policyMethods } from '../../src/access/policy/methods.ts'
import { connectionMethods, connectionNotifications, rpcDiscover } from '../../src/access/protocol.ts'
import { roamingCertify } from '../../src/access/roaming/methods.ts'
import { channelMethods, channelNotifications } from '../../src/channels/methods.ts'
import type { NotificationSpec } from '../../src/federation/command.ts'
import { inventoryMethods, inventoryNotifications } from '../../src/inventory/methods.ts'
import { sessionAt, startRig } from './rig.ts'

/*
 * What `rpc.discover` answers is an OpenRPC 1.3 document, complete: every method with every parameter, result and refusal,
 * generated from the schemas that the server checks with. It fails if a method is added without being described, if a
 * reference leads nowhere, or if a parameter loses its schema on the way.
 */
const test = suite('OpenRPC')

/* The structure of OpenRPC 1.3 (https://spec.open-rpc.org), as far as it is used here; unknown members are errors. */
const reference = z.strictObject({ $ref: z.string().startsWith('#/') })
const schemaObject = z.union([z.boolean(), z.record(z.string(), z.unknown())])
const contentDescriptor = z.strictObject({
  name: z.string().min(1),
  summary: z.string().optional(),
  required: z.boolean().optional(),
  schema: schemaObject,
})
const errorObject = z.strictObject({ code: z.int(), message: z.string().min(1), data: z.unknown().optional() })
const exampleObject = z.strictObject({ name: z.string(), value: z.unknown() })
const examplePairing = z.strictObject({ name: z.string(), params: z.array(exampleObject), result: exampleObject })
const extension = z.stringFormat('extension', /^x-/)
const methodObject = z
  .strictObject({
    name: z.string().regex(/^[a-z]+\.[a-zA-Z]+$/),
    summary: z.string().min(1),
    paramStructure: z.enum(['by-name', 'by-position', 'either']),
    params: z.array(z.union([contentDescriptor, reference])),
    result: z.union([contentDescriptor, reference]).optional(),
    errors: z.array(z.union([errorObject, reference])).optional(),
    examples: z.array(examplePairing).optional(),
  })
  .catchall(z.unknown())
  .refine(method => Object.keys(method).every(key => key in known || extension.safeParse(key).success))
const known = { name: 1, summary: 1, paramStructure: 1, params: 1, result: 1, errors: 1, examples: 1 }
const openRpcDocument = z.strictObject({
  openrpc: z.string().regex(/^1\.3\.\d+$/),
  info: z.strictObject({
    title: z.string(),
    version: z.string(),
    description: z.string(),
    license: z.strictObject({ name: z.string() }),
  }),
  methods: z.array(methodObject),
  components: z.strictObject({
    errors: z.record(z.string().regex(/^[a-zA-Z0-9._-]+$/), errorObject),
    schemas: z.record(z.string(), schemaObject),
  }),
})

const methods = [...inventoryMethods, ...policyMethods, roamingCertify, ...channelMethods]
const notifications = [...inventoryNotifications, ...channelNotifications]
const described = JSON.parse(JSON.stringify(openRpc(methods, notifications, new Set(['pn.establish']))))

function referencesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, member]) =>
    key === '$ref' && typeof member === 'string' ? member : referencesIn(member),
  )
}

test('has the structure of OpenRPC 1.3, and references that lead somewhere', () => {
  openRpcDocument.parse(described)
  for (const target of referencesIn(described)) {
    const found = target
      .slice(2)
      .split('/')
      .reduce<unknown>((value, part) => (value as Record<string, unknown> | undefined)?.[part], described)
    assert.ok(found, target)
  }
})

test('describes every method and notification once, with all of its parameters', () => {
  const specs = [...connectionMethods, ...methods]
  const names = described.methods.map((method: { name: string }) => method.name)
  assert.equal(
    names,
    [...specs, ...connectionNotifications, ...notifications].map(({ method }) => method),
  )
  assert.is(new Set(names).size, names.length)

  const establish = described.methods.find((method: { name: string }) => method.name === 'pn.establish')
  const parameters = new Map(establish.params.map((param: { name: string }) => [param.name, param]))
  assert.equal([...parameters.keys()].sort(), [
    'alias',
    'commandId',
    'commandProof',
    'connectionMode',
    'durability',
    'ifUnreachable',
    'lifetimeMs',
    'pnId',
    'time',
    'usage',
  ])
  assert.equal(parameters.get('alias'), {
    name: 'alias',
    required: false,
    schema: { type: 'string', minLength: 1, maxLength: 128 },
  })
  assert.is(establish.result.schema.required.includes('document'), true)
})

test('lists the refusals of each method, and those that any may meet', () => {
  for (const { method, refusals } of [...connectionMethods, ...methods]) {
    const entry = described.methods.find((entry: { name: string }) => entry.name === method)
    const codes = entry.errors.map((error: { $ref: string }) => error.$ref.split('/').at(-1))
    for (const status of [...refusals, 401, 429, 503, 504, 'invalidParams', 'parse']) {
      assert.ok(codes.includes(String(status)), `${method}: ${status}`)
    }
    assert.is(new Set(codes).size, codes.length, method)
  }
})

test('says of both forms of session.authenticate what they take', () => {
  const [authenticate] = described.methods
  const names = authenticate.params.map(({ name, required }: { name: string; required: boolean }) => [name, required])
  assert.equal(names, [
    ['nonce', false],
    ['url', false],
    ['resume', false],
    ['redirect', false],
    ['roams', false],
    ['mechanism', false],
    ['identity', false],
    ['proof', false],
    ['certificate', false],
  ])
  assert.is(authenticate['x-before-authentication'], true)
})

test('no parameter is left without a schema', () => {
  for (const { name, params } of described.methods) {
    for (const param of params) assert.ok(Object.keys(param.schema).length > 0, `${name}: ${param.name}`)
  }
})

test('is what the server answers', async () => {
  const rig = await startRig()
  const session = await sessionAt(rig.base)
  const answer = openRpcDocument.parse(await session.call(rpcDiscover, {}))
  assert.ok(answer.methods.some(({ name }) => name === 'test.echo'))
  session.close()
  await rig.stop()
})

test('every command has an example: a call that the server takes, with an answer that it could give', () => {
  for (const { method, params, result, example } of methods) {
    assert.ok(example, `${method} has no example`)
    const taken = params.safeParse(example.params)
    assert.ok(taken.success, `${method}: ${taken.error?.message}`)
    const given = result.safeParse(example.result)
    assert.ok(given.success, `${method}: ${given.error?.message}`)
  }
})

test('an example of a notification is one that clients could be told', () => {
  for (const { method, params, example } of notifications as readonly NotificationSpec<unknown>[]) {
    assert.ok(example && params.safeParse(example).success, method)
  }
})

test.run()
