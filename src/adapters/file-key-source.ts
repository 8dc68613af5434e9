import { statSync } from 'node:fs'
import type { KeySource } from '../ports/key-source.ts'
import { readSubscribers, type SubscriberFiles, type SubscriberLines, subscriberOfLine } from './subscriber-store.ts'

/**
 * The subscribers of `subscriber-store.ts`. Read again when the file has changed, so that `cpns subscriber add` works beside
 * a running server; between changes a look-up costs one `stat`, however many there are. It is made where it is asked for: to go to a
 * thread and back takes many times as long. There are none as long as there never was a file; one that is gone, or cannot be read, is
 * a source that cannot be reached.
 */
export function fileKeySource(files: SubscriberFiles): KeySource {
  let loaded: { readonly state: string | undefined; readonly lines: Promise<SubscriberLines> } | undefined

  async function current(): Promise<SubscriberLines> {
    const state = stateOf(files.store)
    if (!loaded && state === 'none') return new Map()
    if (loaded?.state === state) return loaded.lines
    const lines = read(state)
    loaded = { state, lines }
    lines.catch(() => {
      if (loaded?.lines === lines) loaded = { state: undefined, lines } // it is read again when somebody asks again
    })
    return lines
  }

  /** What is replaced while it is read may be under a key that has left the ring by then: then there is something newer. */
  async function read(state: string): Promise<SubscriberLines> {
    try {
      return await readSubscribers(files)
    } catch (error) {
      if (stateOf(files.store) === state) throw error
      return readSubscribers(files)
    }
  }

  return {
    async find(identity) {
      const line = (await current()).get(identity)
      return line === undefined ? undefined : subscriberOfLine(line)
    },
  }
}

/** Differs whenever the file has changed: its mode too, and that it was replaced. `none`: there is no such file. */
function stateOf(path: string): string {
  try {
    const { ctimeMs, ino, size } = statSync(path)
    return `${ctimeMs} ${ino} ${size}`
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'none' : 'unreadable'
  }
}
