// Hocuspocus as its guide has it, with documents in SQLite: the one that comes with Node, so that nothing is compiled.
import { DatabaseSync } from 'node:sqlite'
import { Database } from '@hocuspocus/extension-database'
import { Server } from '@hocuspocus/server'

const sqlite = new DatabaseSync(process.env.DATA)
sqlite.exec('PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, data BLOB)')
const select = sqlite.prepare('SELECT data FROM documents WHERE name = ?')
const upsert = sqlite.prepare(
  'INSERT INTO documents VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET data = excluded.data',
)

const server = new Server({
  address: '127.0.0.1',
  port: Number(process.env.PORT),
  quiet: true,
  // Its own clients say now and then that they are here; those of the benchmarks are silent for longer than a minute.
  timeout: 3_600_000,
  extensions: [
    new Database({
      fetch: async ({ documentName }) => select.get(documentName)?.data ?? null,
      store: async ({ documentName, state }) => void upsert.run(documentName, state),
    }),
  ],
})
await server.listen()
console.log(`listening on ${server.address.port}`)
