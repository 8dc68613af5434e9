import { z } from 'zod'
import { commandProof, ifUnreachable } from '../commands/common-parameters.ts'
import { type MethodSpec, type NotificationSpec, type Status, statuses } from '../federation/command.ts'
import { durabilityWish, durable } from '../federation/durability.ts'
import {
  connectionMethods,
  connectionNotifications,
  redirection,
  rpcDiscover,
  sessionAuthenticate,
} from './protocol.ts'

/** What JSON-RPC itself can answer, to any request. */
const protocolErrors = {
  parse: { code: -32700, message: 'The frame is not JSON' },
  invalidRequest: { code: -32600, message: 'Not a JSON-RPC 2.0 request' },
  methodNotFound: { code: -32601, message: 'No such method' },
  invalidParams: { code: -32602, message: 'The parameters are not what the schema says; the message names the place' },
  internal: { code: -32603, message: 'The server failed' },
} as const

/** Any method can be refused so; 401 only before authentication, or by it. */
const everywhere: readonly Status[] = [401, 429, 503, 504]

/** Any command may be one that another operator executes. */
const ofCommands: readonly Status[] = [202, 423]

const errorData = z.object({
  status: z.int().meta({ description: 'The response code' }),
  reason: z.string().meta({ description: 'A stable symbolic cause, finer than the status' }),
  retryAfterMs: z.number().optional().meta({ description: 'When to try again, if that may help' }),
  executor: z.string().optional().meta({ description: 'Of ELSEWHERE: the operator that executes the command' }),
  commandId: z.string().optional().meta({ description: 'Of PENDING: the command that is kept; see command.outcome' }),
  expires: z.number().optional().meta({ description: 'Of PENDING: until when it is kept' }),
  redirect: redirection.optional().meta({ description: 'Of REDIRECT and OVERLOADED: where to go instead' }),
})

/**
 * The service as an OpenRPC 1.3 document, generated from the schemas that the server itself checks with.
 * @param writing the commands of which it can be waited for until other servers hold what they write
 */
export function openRpc(
  commands: readonly MethodSpec[],
  notifications: readonly NotificationSpec<unknown>[],
  writing: ReadonlySet<string>,
) {
  const methods = [...connectionMethods, ...commands]
  const used = new Set([...everywhere, ...ofCommands, ...methods.flatMap(({ refusals }) => refusals)])
  return {
    openrpc: '1.3.2',
    info: {
      title: 'CPNS node',
      version: '1',
      description: [
        'JSON-RPC 2.0 in the text frames of a websocket at /v1/client, subprotocol cpns.v1. Parameters are by name.',
        'Binary frames are y-protocol messages, each after the channel that document.open answered as a variable-length integer.',
        'Refusals have the response code as error.code and as error.data.status.',
        'Methods marked x-from-server are notifications that the server sends.',
      ].join(' '),
      license: { name: 'Apache-2.0' },
    },
    methods: [
      ...connectionMethods.map(spec => methodObject(spec, [])),
      ...commands.map(spec => {
        const common = writing.has(spec.method) ? [...ofAll, durabilityParameter] : ofAll
        return methodObject(spec, common, ofCommands)
      }),
      ...[...connectionNotifications, ...notifications].map(notificationObject),
    ],
    components: {
      errors: {
        ...Object.fromEntries(Object.entries(protocolErrors).map(([name, error]) => [name, withData(error)])),
        ...Object.fromEntries([...used].sort().map(status => [String(status), refusalObject(status)])),
      },
      schemas: {
        errorData: schemaOf(errorData, 'output'),
        commandProof: schemaOf(commandProof, 'input'),
        durability: schemaOf(durabilityWish, 'input'),
        durable: schemaOf(durable(z.unknown()), 'input'),
        ...Object.assign({}, ...commands.map(({ params }) => definitionsOf(params))),
      },
    },
  }
}

const dataReference = { $ref: '#/components/schemas/errorData' }
const withData = (error: { readonly code: number; readonly message: string }) => ({ ...error, data: dataReference })
/** By it a server passes a command on to the operator that executes it. */
const proofParameter = { name: 'commandProof', required: false, schema: { $ref: '#/components/schemas/commandProof' } }
/** With it a command whose executing operator cannot be reached is answered 202 and kept, not 423. */
const ifUnreachableParameter = {
  name: 'ifUnreachable',
  required: false,
  schema: schemaOf(ifUnreachable, 'input'),
}
const ofAll = [proofParameter, ifUnreachableParameter]
/** With it a command is answered when other servers hold what it writes, too. */
const durabilityParameter = {
  name: 'durability',
  required: false,
  schema: { $ref: '#/components/schemas/durability' },
}
const refusalObject = (status: Status) => withData({ code: status, message: statuses[status] })

function methodObject(spec: MethodSpec, more: readonly object[], besides: readonly Status[] = []) {
  const open = spec.method === sessionAuthenticate.method || spec.method === rpcDiscover.method
  const refusals = [...new Set([...everywhere, ...besides, ...spec.refusals])].sort()
  return {
    name: spec.method,
    summary: spec.summary,
    paramStructure: 'by-name',
    params: [...paramsOf(spec.params), ...more],
    result: { name: 'result', schema: schemaOf(spec.result, 'output') },
    errors: [...Object.keys(protocolErrors), ...refusals].map(name => ({ $ref: `#/components/errors/${name}` })),
    ...(open ? { 'x-before-authentication': true } : {}),
    ...(spec.example ? { examples: [exampleOf(spec)] } : {}),
  }
}

const exampleOf = ({ method, example }: MethodSpec) => ({
  name: method,
  params: Object.entries(example?.params ?? {}).map(([name, value]) => ({ name, value })),
  result: { name: 'result', value: example?.result },
})

/** In OpenRPC a method without a result is a notification. */
const notificationObject = (spec: NotificationSpec<unknown>) => ({
  name: spec.method,
  summary: spec.summary,
  paramStructure: 'by-name',
  params: paramsOf(spec.params),
  'x-from-server': true,
  ...(spec.example ? { 'x-example': spec.example } : {}),
})

const objectSchema = z.object({
  properties: z.record(z.string(), z.unknown()).default({}),
  required: z.array(z.string()).default([]),
})
const parametersSchema = z.union([z.object({ anyOf: z.array(objectSchema) }), objectSchema])

/**
 * OpenRPC lists parameters one by one. Where a method takes one object or another, the members of all are listed, and
 * those count as required that every form requires.
 */
function paramsOf(params: z.ZodType) {
  const schema = parametersSchema.parse(schemaOf(params, 'input'))
  const forms = 'anyOf' in schema ? schema.anyOf : [schema]
  const properties = new Map(forms.flatMap(form => Object.entries(form.properties)))
  return [...properties].map(([name, property]) => ({
    name,
    required: forms.every(form => form.required.includes(name)),
    schema: property,
  }))
}

/** What JSON Schema cannot express (a check by a function) is left out: the schema then allows more than the server does. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output') {
  const { $schema, $defs, ...rest } = referring(z.toJSONSchema(schema, { io, unrepresentable: 'any' }))
  return rest
}

/** Schemas that contain themselves have a name, by which they are referred to. */
const definitionsOf = (schema: z.ZodType): object =>
  referring(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })).$defs ?? {}

/** What JSON Schema has below itself, OpenRPC has among its components. */
function referring<T extends object>(schema: T): T {
  return JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/$defs/', '"$ref":"#/components/schemas/'))
}
