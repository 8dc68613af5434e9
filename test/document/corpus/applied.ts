import * as assert from 'uvu/assert'
import { AbstractStruct, applyUpdate, Doc, encodeStateAsUpdate, getState, Item, mergeUpdates } from 'yjs'
import { keepApart } from '../../../src/document/keep-apart.ts'
import { asRegister } from '../../../src/document/registers-view.ts'
import { type Log, otherLogs, ownLog, updatesOf } from './honest.ts'

/*
 * What an update does to Yjs: the properties that the guard promises of what it lets pass.
 */

/** A document in which other logs have written, and this log some updates. */
export interface Scene {
  readonly log: Log
  /** Everything before the update, in the order of application. */
  readonly before: readonly Uint8Array[]
  readonly nextClock: number
}

const othersWrote = mergeUpdates(
  otherLogs.flatMap(log =>
    updatesOf(log, [
      [
        { key: 'theirs', stamp: 1, value: log.root },
        { key: 'a', stamp: 1, value: 'another log’s a' },
      ],
      [{ key: 'a', stamp: 2, value: 'overwritten' }],
    ]),
  ),
)

export function sceneAfter(updates: readonly Uint8Array[], nextClock: number): Scene {
  return { log: ownLog, before: [othersWrote, ...updates], nextClock }
}

export function docOf({ before }: Pick<Scene, 'before'>): Doc {
  const doc = new Doc({ guid: 'scene' })
  doc.clientID = 1
  for (const log of [ownLog, ...otherLogs]) doc.getMap(log.root)
  for (const update of before) applyAsServer(doc, update)
  return doc
}

/** As a server applies the update of another server's log. */
export function applyAsServer(doc: Doc, update: Uint8Array): void {
  const from = getState(doc.store, ownLog.clientId)
  applyUpdate(doc, update)
  keepApart(doc, ownLog.clientId, from)
}

/** Reads a counter of steps. */
export type StepCounter = () => number

/**
 * Counts Yjs's steps while `body` runs: reads of `id`, `left` and `right` of any struct, by which it walks and searches, and
 * structs moved within an array. Documents made in `body` are of no use afterwards, nor the other way round.
 */
export function countingSteps<T>(body: (steps: StepCounter) => T): T {
  let steps = 0
  const fields = [
    [AbstractStruct.prototype, 'id'],
    [Item.prototype, 'left'],
    [Item.prototype, 'right'],
  ] as const
  for (const [prototype, field] of fields) {
    const slot = Symbol(field)
    Object.defineProperty(prototype, field, {
      configurable: true,
      get(this: Record<symbol, unknown>) {
        steps += 1
        return this[slot]
      },
      set(this: Record<symbol, unknown>, value: unknown) {
        this[slot] = value
      },
    })
  }
  const splice = Array.prototype.splice
  Array.prototype.splice = function (this: unknown[], start: number, ...rest: [number, ...unknown[]]) {
    if (this.at(-1) instanceof AbstractStruct) steps += this.length - start
    return splice.call(this, start, ...rest)
  }
  try {
    return body(() => steps)
  } finally {
    Array.prototype.splice = splice
    for (const [prototype, field] of fields) Reflect.deleteProperty(prototype, field)
  }
}

/** What anybody can see of a document's logs; as text, since an object's member may be named `constructor`. */
const contents = (doc: Doc, logs: readonly Log[]): string =>
  JSON.stringify(logs.map(log => [...doc.getMap(log.root).entries()]))

/** What an update did to a document, once it was found harmless. */
export interface Applied {
  readonly yjsSteps: number
}

/** Applies an update that passed to the scene's document and asserts every promise of the guard. */
export function assertHarmless(doc: Doc, log: Log, update: Uint8Array, nextClock: number, steps: StepCounter): Applied {
  const othersBefore = contents(doc, otherLogs)
  const rootsBefore = [...doc.share.keys()]
  const stepsBefore = steps()
  applyAsServer(doc, update)
  const yjsSteps = steps() - stepsBefore
  assert.is(doc.store.pendingStructs, null, 'leaves structs pending')
  assert.is(doc.store.pendingDs, null, 'leaves deletes pending')
  assert.equal([...doc.share.keys()], rootsBefore, 'makes a root')
  assert.is(contents(doc, otherLogs), othersBefore, 'touches another log')
  assert.is(getState(doc.store, log.clientId), nextClock, 'ends at another clock')
  for (const value of doc.getMap(log.root).values())
    assert.ok(asRegister(value), `holds no register: ${JSON.stringify(value)}`)
  const again = docOf({ before: [encodeStateAsUpdate(doc)] })
  assert.is(contents(again, [log]), contents(doc, [log]), 'reads differently once encoded')
  return { yjsSteps }
}
