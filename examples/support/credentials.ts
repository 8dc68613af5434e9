import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { addSubscriber, type ServerFolder } from './operators.ts'

/** A command names itself, so that repeated it happens once. */
export const newCommandId = (): string => randomBytes(16).toString('base64url')

/** Pre-shared keys of an operator's subscribers, as their devices would hold them; kept beside the server for the next run. */
export function subscribers(server: ServerFolder) {
  const file = join(server.folder, 'demo-keys.json')
  return {
    /** The subscriber's key; one that is new is added with `cpns subscriber add`. */
    async keyOf(identity: string): Promise<Uint8Array> {
      const known: Record<string, string> = existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : {}
      const key = known[identity] ?? (await addSubscriber(server, identity))
      await writeFile(file, JSON.stringify({ ...known, [identity]: key }, undefined, 2), { mode: 0o600 })
      return new Uint8Array(Buffer.from(key, 'base64url'))
    },
  }
}
