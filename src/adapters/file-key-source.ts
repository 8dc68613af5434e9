import { stat } from 'node:fs/promises'
import type { KeySource } from '../ports/key-source.ts'
import { readSubscribers, type SubscriberFiles, type SubscriberLines, subscriberOfLine } from './subscriber-store.ts'

/**
 * The subscribers of `subscriber-store.ts`. Read again when the file has changed, so that `cpns subscriber add` works beside
 * a running server; between changes a look-up costs one `stat`, however many there are, and those that come meanwhile share the
 * next one. There are none as long as there never was a file; one that is gone, or cannot be read, is a source that cannot be reached.
 */
export function fileKeySource(files: SubscriberFiles): KeySource {
  let loaded: { readonly state: string | undefined; readonly lines: Promise<SubscriberLines> } | undefined
  const stateNow = shared(() => stateOf(files.store))

  async function current(): Promise<SubscriberLines> {
    const state = await stateNow()
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
      if ((await stateOf(files.store)) === state) throw error
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

/**
 * One call for all who ask while another one is under way, begun when that has ended: nobody is told of a time before it asked.
 */
function shared<T>(call: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  let next: Promise<T> | undefined
  const begin = () => {
    next = undefined
    running = call().finally(() => {
      running = undefined
    })
    return running
  }
  return () => {
    if (next) return next
    if (!running) return begin()
    next = running.then(begin, begin)
    return next
  }
}

/** Differs whenever the file has changed: its mode too, and that it was replaced. `none`: there is no such file. */
const stateOf = (path: string): Promise<string> =>
  stat(path).then(
    ({ ctimeMs, ino, size }) => `${ctimeMs} ${ino} ${size}`,
    (error: unknown) => (error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'none' : 'unreadable'),
  )
