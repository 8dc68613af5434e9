import { asStream, framed } from '../../adapters/backup/record-stream.ts'
import type { LogStore } from '../../ports/log-store.ts'
import { type Route, raw, route } from './route.ts'

/*
 * The records of the store as they are at one moment, while the node goes on: what `cpns backup` makes a backup of.
 */

export const backupRoutes = (store: Pick<LogStore, 'dump'>): readonly Route[] => [
  route({
    method: 'POST',
    path: '/v1/backup/records',
    scope: 'operate',
    summary: 'All records of the store as of this moment, as they are stored.',
    answers: {
      200: raw(
        'Payloads of records, each after its length in 4 bytes; a length of 0 ends them.',
        'application/octet-stream',
      ),
    },
    handle: (_, answer) => answer(200, asStream(framed(store.dump()))),
  }),
]
