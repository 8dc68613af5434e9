import type { z } from 'zod'
import type { Documents } from '../../document/documents.ts'
import type { Admit } from '../create-storage.ts'
import type { Procedure } from '../dispatch.ts'
import { storedObjects } from '../fetching.ts'
import { mailboxSearch } from '../methods/search.ts'
import { shown } from '../showing.ts'
import type { Search } from './create-search.ts'
import { encodeCursor, indexQuery } from './query.ts'

type Params = z.infer<typeof mailboxSearch.params>
type Result = z.infer<typeof mailboxSearch.result>

/** `mailbox.search`: the index says which objects, the documents what they are. */
export function searchProcedure(options: {
  readonly search: Search
  readonly documents: Pick<Documents, 'read'>
  readonly admit: Admit
}): Procedure<Params, Result> {
  const { search, documents, admit } = options
  return {
    spec: mailboxSearch,
    kind: 'read',

    async execute(params, principal) {
      const { operator, user, content = 'full' } = params
      const name = { operator, user }
      const { reach } = await admit('read', name, principal)
      const query = indexQuery(params, reach)
      const { page, isLagging } = await search.query(name, query)
      const found = await storedObjects(name, page.objects, reach, documents)
      const last = page.more ? page.objects.at(-1) : undefined
      return {
        objects: found.filter(object => object !== undefined).map(object => shown(object, content)),
        ...(last && { cursor: encodeCursor(query.sort, last) }),
        lagging: isLagging,
      }
    },
  }
}
