import { openSqliteSearchIndex } from '../../src/adapters/sqlite-search-index.ts'
import { byDate, everything, idOf, mailboxA, objectOf, put, wordsOf } from '../ports/search-index.contract.ts'

/*
 * Puts batches of ten objects into the index in the folder that is its argument and prints the number of each that was
 * stored, until one fails; then the error, and how many objects are found. Run to be killed, or under a limit on the size of files.
 */

const [folder = ''] = process.argv.slice(2)
const index = openSqliteSearchIndex(folder, { reserveBytes: 0 })
const text = Array.from({ length: 100 }, (_, at) => `word${at}`).join(' ')
let after: string | undefined
try {
  for (let batch = 1; batch < 10_000; batch++) {
    const changes = Array.from({ length: 10 }, (_, at) =>
      put(objectOf(batch * 10 + at, { words: wordsOf(`${text} ${idOf(batch)}`) })),
    )
    await index.apply(mailboxA, { after, changes, position: String(batch) })
    after = String(batch)
    console.log(`${batch}`)
  }
} catch (error) {
  const { objects } = await index.query(mailboxA, after ?? '', byDate(everything, { limit: 100_000 }))
  console.log(
    JSON.stringify({ error: error instanceof Error ? error.name : '', objects: objects.length, stored: after }),
  )
}
await index.close()
