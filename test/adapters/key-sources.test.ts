import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { fileKeySource } from '../../src/adapters/file-key-source.ts'
import { addSubscriber, removeSubscriber } from '../../src/adapters/subscriber-store.ts'
import { SimulatedKeySource } from '../../src/simulation/key-source.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { keySourceContract } from '../ports/key-source.contract.ts'
import { keyServer, sourceOf } from './key-server.ts'

/* Every source of subscribers keeps the contract: in memory, in an encrypted file, at a key server. */

keySourceContract('in memory', async () => {
  const source = new SimulatedKeySource()
  return {
    source,
    add: async subscriber => source.add(subscriber),
    remove: async identity => source.remove(identity),
    async breakDown() {
      source.isDown = true
    },
    async mend() {
      source.isDown = false
    },
    stop: async () => {},
  }
})

keySourceContract('in a file', async () => {
  const { path, remove } = await temporaryFolder()
  const files = { store: join(path, 'subscribers.json'), key: join(path, 'subscribers.key') }
  return {
    source: fileKeySource(files),
    add: subscriber => addSubscriber(files, subscriber),
    remove: identity => removeSubscriber(files, identity),
    breakDown: () => chmod(files.store, 0o644),
    mend: () => chmod(files.store, 0o600),
    stop: remove,
  }
})

keySourceContract('at a key server', async () => {
  const server = await keyServer()
  const source = await sourceOf(server, { ttlMs: 0, negativeTtlMs: 0, staleMs: 0 })
  return {
    source,
    add: async subscriber => server.add(subscriber),
    remove: async identity => server.remove(identity),
    async breakDown() {
      server.misbehave = (_, response) => response.writeHead(500).end('{"identity":"with.psk@a.example"}')
    },
    async mend() {
      server.misbehave = undefined
    },
    async stop() {
      source.close()
      await server.stop()
    },
  }
})
