import * as assert from 'uvu/assert'
import { z } from 'zod'

const description = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        parameters: z.array(z.object({ name: z.string(), required: z.boolean() })).default([]),
        responses: z.record(
          z.string(),
          z.object({ content: z.record(z.string(), z.object({ schema: z.record(z.string(), z.unknown()) })) }),
        ),
      }),
    ),
  ),
})
export type Description = z.output<typeof description>

/** @throws when the node at `url` describes itself otherwise than OpenAPI has it */
export const descriptionAt = async (url: string): Promise<Description> =>
  description.parse(await (await fetch(`${url}/v1/openapi.json`)).json())

/** That an answer is as the description of its route says: its status, its media type and, if that is JSON, its content. */
export async function assertDescribed(
  from: Description,
  method: string,
  path: string,
  answer: Response,
): Promise<void> {
  const what = `${method} ${path}`
  const response = from.paths[path]?.[method.toLowerCase()]?.responses[answer.status]
  assert.ok(response, `${what} is not said to answer ${answer.status}`)
  const type = answer.headers.get('content-type')?.split(';')[0] ?? ''
  const content = Object.entries(response.content).find(([said]) => said.split(';')[0] === type)
  assert.ok(content, `${what} is not said to answer ${type}`)
  if (type !== 'application/json') return void answer.body?.cancel()
  const result = z.fromJSONSchema(content[1].schema).safeParse(await answer.json())
  assert.ok(
    result.success,
    `${what} answers otherwise than described: ${result.error && z.prettifyError(result.error)}`,
  )
}
