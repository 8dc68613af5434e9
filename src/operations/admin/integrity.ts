import { z } from 'zod'
import { asDocumentId } from '../../document/names.ts'
import type { CpnsNode } from '../../node.ts'
import { InvalidName } from '../../ports/names.ts'
import { AdminRefusal } from './refusal.ts'
import { json, type Route, route } from './route.ts'
import { scrubProgress } from './status.ts'

/*
 * What the disk has changed, as far as it was found: documents that are refused until peers have made them whole, and how far the
 * node is in reading everything that it holds.
 */

const damaged = z.object({
  document: z.string(),
  since: z.int().describe('When it was found, milliseconds since 1970.'),
})

export const integrityAnswer = z.object({
  damaged: z.array(damaged).describe('Documents that are refused until other servers have brought what is lost.'),
  scrub: scrubProgress,
})
export type IntegrityAnswer = z.output<typeof integrityAnswer>

export const integrityRoutes = ({ documents, status }: Pick<CpnsNode, 'documents' | 'status'>): readonly Route[] => [
  route({
    method: 'GET',
    path: '/v1/integrity',
    scope: 'read',
    summary: 'What the disk has damaged, and how far the node is in reading everything.',
    answers: { 200: json('As far as it was found.', integrityAnswer) },
    handle: (_, answer) => {
      const { scrub } = status()
      const found = documents.damaged().map(({ document, since }) => ({ document, since }))
      return answer(200, { damaged: found, scrub: { ...scrub, damagedRecords: [...scrub.damagedRecords] } })
    },
  }),
  route({
    method: 'POST',
    path: '/v1/integrity/give-up',
    scope: 'operate',
    summary: 'Shows a damaged document again as far as it is whole, and erases what lies behind the damage.',
    body: z.strictObject({ document: z.string().max(512) }),
    answers: { 200: json('It is shown again.', z.object({ document: z.string() })) },
    async handle({ body: { document } }, answer) {
      if (!(await documents.giveUp(named(document))))
        throw new AdminRefusal(404, `${document} is not damaged; cpns verify lists the documents that are.`)
      return answer(200, { document })
    },
  }),
]

function named(text: string) {
  try {
    return asDocumentId(text)
  } catch (error) {
    if (error instanceof InvalidName) throw new AdminRefusal(400, error.message)
    throw error
  }
}
