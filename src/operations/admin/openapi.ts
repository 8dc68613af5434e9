import { z } from 'zod'
import { json, type Method, type Route, route, type Scope } from './route.ts'

/*
 * The OpenAPI 3.1 description of the admin API, made from its routes: what they check by is what is described.
 */

const error = z.object({ message: z.string().describe('What was wrong, and what to do.') })

const schemaOf = (schema: z.ZodType, io: 'input' | 'output') => {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}

type JsonSchema = ReturnType<typeof schemaOf>

interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly description: string
  readonly security: readonly object[]
  readonly parameters: readonly Parameter[]
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: JsonSchema } } }
  readonly responses: Readonly<Record<string, object>>
}

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query'
  readonly required: boolean
  readonly schema: JsonSchema
}

/** @param routes all that are to be described */
export function openApi(routes: readonly Route[], version: string) {
  const paths: Record<string, Partial<Record<Lowercase<Method>, Operation>>> = {}
  for (const each of routes) {
    const path = each.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [lower[each.method]]: operationOf(each) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'CPNS node, admin API', version },
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'Made by cpns token create. The socket needs none.' },
      },
      schemas: { Error: schemaOf(error, 'output') },
    },
  }
}

const lower = { GET: 'get', POST: 'post', PUT: 'put', DELETE: 'delete' } as const satisfies Record<Method, string>

const needs: Readonly<Record<Scope, string>> = {
  open: 'Open to all who reach the port.',
  read: 'A token with the scope read or operate.',
  operate: 'A token with the scope operate.',
}

function operationOf(described: Route): Operation {
  const { method, path, scope, summary, params, query, body, answers } = described
  const responses = Object.entries(answers).map(([status, { description, type, schema }]) => [
    status,
    { description, content: { [type]: { schema: schemaOf(schema, 'output') } } },
  ])
  const refused = {
    description: 'It was refused, or failed.',
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
  }
  const parameters = [...parametersOf('path', params), ...parametersOf('query', query)]
  return {
    operationId: operationIdOf(method, path),
    summary,
    description: needs[scope],
    security: scope === 'open' ? [] : [{ token: [] }],
    parameters,
    ...(body && { requestBody: { content: { 'application/json': { schema: schemaOf(body, 'input') } } } }),
    responses: { ...Object.fromEntries(responses), default: refused },
  }
}

/** `GET /v1/peers/:operator` is `getPeersOperator`. */
function operationIdOf(method: Method, path: string): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter(word => word !== '' && word !== 'v1')
  return method.toLowerCase() + words.map(word => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}

function parametersOf(where: Parameter['in'], schema: z.ZodType | undefined): readonly Parameter[] {
  if (!(schema instanceof z.ZodObject)) return []
  const fields: Readonly<Record<string, z.ZodType>> = schema.shape
  return Object.entries(fields).map(([name, field]) => ({
    ...{ name, in: where, schema: schemaOf(field, 'input') },
    required: where === 'path' || !field.safeParse(undefined).success,
  }))
}

/** The route that answers the description of these, and of itself. */
export function describingRoute(routes: readonly Route[], version: string): Route {
  const own: Route = route({
    method: 'GET',
    path: '/v1/openapi.json',
    scope: 'open',
    summary: 'This description.',
    answers: { 200: json('An OpenAPI 3.1 document.', z.record(z.string(), z.unknown())) },
    handle(_, answer) {
      described ??= openApi([...routes, own], version)
      return answer(200, described)
    },
  })
  // When somebody asks for it: it takes as long as all else that serves the routes.
  let described: ReturnType<typeof openApi> | undefined
  return own
}
