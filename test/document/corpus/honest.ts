import * as fc from 'fast-check'
import { Doc, transact } from 'yjs'
import { nodeCrypto } from '../../../src/adapters/crypto.ts'
import { clientIdOf } from '../../../src/document/log.ts'
import type { LogId } from '../../../src/ports/names.ts'
import { someServer } from './update.ts'

/*
 * Honest writers: they write as a server does, through Yjs, each register of a commit once.
 */

export interface Log {
  readonly root: string
  readonly clientId: number
}

/** As a server would take it: its Yjs client follows from its id. */
export const ownLog: Log = ownLogOf('AAAAAAAAAAAAAAAAAAAAAA' as LogId)
/** Logs of others in the same document: what an attack must not touch. */
export const otherLogs: readonly Log[] = [
  { root: 'BBBBBBBBBBBBBBBBBBBBBA', clientId: 0x0_0000_0000_0007 },
  { root: 'CCCCCCCCCCCCCCCCCCCCCQ', clientId: 0xf_ffff_ffff_ffff },
]

function ownLogOf(root: LogId): Log {
  return { root, clientId: clientIdOf(root, nodeCrypto()) }
}

export interface Write {
  readonly key: string
  readonly stamp: number
  readonly value: unknown
}

/** Writes one log, commit by commit. */
export class HonestWriter {
  readonly doc: Doc
  readonly #log: Log
  #update: Uint8Array | undefined

  constructor(log: Log = ownLog) {
    this.#log = log
    this.doc = new Doc({ guid: log.root })
    this.doc.clientID = log.clientId
    this.doc.on('update', (update: Uint8Array) => {
      this.#update = update
    })
  }

  /** Answers the update; of two writes of a key the last counts, as in a commit. */
  commit(writes: readonly Write[]): Uint8Array {
    const map = this.doc.getMap(this.#log.root)
    transact(this.doc, () => {
      for (const { key, stamp, value } of new Map(writes.map(write => [write.key, write])).values())
        map.set(key, [stamp, someServer, value])
    })
    const update = this.#update
    this.#update = undefined
    if (!update) throw new Error('The commit wrote nothing.')
    return update
  }
}

/** The updates of a log that makes these commits. */
export function updatesOf(log: Log, commits: readonly (readonly Write[])[]): Uint8Array[] {
  const writer = new HonestWriter(log)
  return commits.map(writes => writer.commit(writes))
}

const isName = (name: string): boolean => name !== '__proto__'
const name = (maxLength: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ minLength: 1, maxLength, unit: 'binary' }),
    fc.constantFrom('k', 'pne/1', 'größe', '钥匙', '🔑', '\ufeffbom', 'constructor', '__proto', '__proto___'),
  )

export const json: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 6, depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.float({ noNaN: true, noDefaultInfinity: true }),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(name(8).filter(isName), tie('value'), { maxKeys: 4 }),
  ),
})).value

const stamp = fc.oneof(
  fc.nat(),
  fc.integer({ min: 1.6e12, max: 1.8e12 }),
  fc.constantFrom(0, 2 ** 31, 2 ** 32, 8.64e15),
)

const write = (keys: fc.Arbitrary<string>): fc.Arbitrary<Write> => fc.record({ key: keys, stamp, value: json })

/** Commits over few keys, so that they overwrite one another. */
export const commits: fc.Arbitrary<Write[][]> = fc
  .uniqueArray(name(30).filter(isName), { minLength: 1, maxLength: 8 })
  .chain(keys =>
    fc.array(fc.array(write(fc.constantFrom(...keys)), { minLength: 1, maxLength: 6 }), {
      minLength: 1,
      maxLength: 12,
    }),
  )
