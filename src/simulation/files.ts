import { type FileTree, NoRoom } from '../ports/file-tree.ts'
import type { DiskFate, DiskModel } from './disk.ts'
import { constant, drawUs } from './distributions.ts'
import type { RandomStream } from './random-streams.ts'
import { never, type Run } from './run.ts'
import type { Scheduler } from './scheduler.ts'

interface SimulatedFile {
  bytes: Uint8Array
  changedMs: number
  /** When it was made durable, in simulated microseconds; `undefined` while it was not. */
  readonly publishedUs: number | undefined
}

export interface FilesOptions {
  readonly scheduler: Scheduler
  readonly random: RandomStream
  readonly model?: Pick<DiskModel, 'syncLatency' | 'readLatency' | 'capacityBytes'>
}

const defaultSyncLatency = constant(1)

/**
 * The files of a simulated host, beside its disk of records. They outlive the runs that write them. What is published is
 * there after a power cut; of what is not, a part is.
 */
export class SimulatedFiles {
  /** A write that would need more is refused. */
  capacityBytes: number
  readonly #options: FilesOptions
  #files = new Map<string, SimulatedFile>()

  constructor(options: FilesOptions) {
    this.#options = options
    this.capacityBytes = options.model?.capacityBytes ?? Number.POSITIVE_INFINITY
  }

  get usedBytes(): number {
    let used = 0
    for (const { bytes } of this.#files.values()) used += bytes.length
    return used
  }

  /** @param now milliseconds since 1970, as the host's clock has it */
  open(run: Run, now: () => number): FileTree {
    const { scheduler, random, model = {} } = this.#options
    const { syncLatency = defaultSyncLatency, readLatency } = model

    const after = <T>(latency: typeof syncLatency, what: string, act: () => T): Promise<T> => {
      if (!run.admits()) return never()
      return new Promise((resolve, reject) => {
        const done = () => {
          try {
            resolve(act())
          } catch (error) {
            reject(error)
          }
        }
        scheduler.after(drawUs(latency, random), what, done, run)
      })
    }
    /** Answered at once unless reads take time, which hides races. */
    const look = async <T>(act: () => T): Promise<T> => {
      if (!run.admits()) return never()
      return readLatency ? after(readLatency, 'read', act) : act()
    }

    return {
      write: (path, position, bytes) => look(() => this.#write(path, position, bytes, now())),
      read: (path, position, length) => look(() => this.#files.get(path)?.bytes.slice(position, position + length)),
      stat: path =>
        look(() => {
          const file = this.#files.get(path)
          return file && { size: file.bytes.length, changedMs: file.changedMs }
        }),
      truncate: (path, size) =>
        look(() => {
          const file = this.#files.get(path)
          if (file) file.bytes = file.bytes.slice(0, size)
        }),
      touch: path =>
        look(() => {
          const file = this.#files.get(path)
          if (file) file.changedMs = now()
          return file !== undefined
        }),
      publish: (from, to) =>
        after(syncLatency, 'publish', () => {
          const file = this.#files.get(from)
          if (!file) throw new Error(`There is no ${from}.`)
          this.#files.delete(from)
          this.#files.set(to, { bytes: file.bytes, changedMs: now(), publishedUs: scheduler.nowUs })
        }),
      remove: path =>
        after(syncLatency, 'remove', () => {
          for (const known of this.#under(path)) this.#files.delete(known)
        }),
      list: path =>
        look(() => {
          const from = path === '' ? 0 : path.length + 1
          return [...new Set(this.#under(path).map(known => known.slice(from).split('/', 1)[0] ?? ''))].filter(Boolean)
        }),
    }
  }

  /** To be called when the run that has them open is over. */
  settle(fate: DiskFate): void {
    const { random } = this.#options
    if (fate.kind === 'lose') this.#files.clear()
    if (fate.kind === 'keep' || fate.kind === 'lose') return
    const untilUs = fate.kind === 'restore' ? fate.backup.takenUs : Number.POSITIVE_INFINITY
    for (const [path, file] of this.#files) {
      if (file.publishedUs === undefined) file.bytes = file.bytes.slice(0, random.below(file.bytes.length + 1))
      else if (file.publishedUs > untilUs) this.#files.delete(path)
    }
  }

  /** Flips one bit of the file that contains `payload`. @throws {RangeError} when there is none. */
  flipWhere(payload: Uint8Array, bit = 0): void {
    for (const file of this.#files.values()) {
      const at = Buffer.from(file.bytes).indexOf(payload)
      if (at < 0) continue
      const place = at * 8 + bit
      file.bytes[place >>> 3] = (file.bytes[place >>> 3] ?? 0) ^ (1 << (place & 7))
      return
    }
    throw new RangeError('No file holds these bytes.')
  }

  #write(path: string, position: number, bytes: Uint8Array, changedMs: number): void {
    const file = this.#files.get(path) ?? { bytes: new Uint8Array(), changedMs, publishedUs: undefined }
    const length = Math.max(file.bytes.length, position + bytes.length)
    if (this.usedBytes + length - file.bytes.length > this.capacityBytes) {
      throw new NoRoom(`The disk is full: ${this.usedBytes} bytes are stored. Make room.`)
    }
    const grown = new Uint8Array(length)
    grown.set(file.bytes)
    grown.set(bytes, position)
    file.bytes = grown
    file.changedMs = changedMs
    this.#files.set(path, file)
  }

  #under(path: string): string[] {
    return [...this.#files.keys()].filter(known => path === '' || known === path || known.startsWith(`${path}/`))
  }
}
