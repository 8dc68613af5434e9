import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { appending, documentA, logOf } from '../ports/log-store.contract.ts'

/*
 * Appends to the store in the folder that is its argument until that fails, tries once more, and prints what happened. Run
 * under a limit on the size of files, so that the failure is a real one in the middle of a write.
 */

const [folder = ''] = process.argv.slice(2)
const store = await openLevelLogStore(folder, { reserveBytes: 0 })
let acknowledged = 0
const errors: string[] = []
while (errors.length < 2 && acknowledged < 10_000)
  await store.commit(appending(documentA, logOf(1), acknowledged, 1, 8_000)).then(
    () => {
      acknowledged += 1
    },
    error => errors.push(error.name),
  )
await store.close()
console.log(JSON.stringify({ acknowledged, errors }))
