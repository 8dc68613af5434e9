import type { Protocol } from '../protocol.ts'
import { forwarding, yjsPush } from './forwarding.ts'
import growingSet from './growing-set.ts'
import quorum from './quorum.ts'
import rumour from './rumour.ts'

/** A protocol, or what makes one for each run: needed when its nodes share an observer. */
export type ProtocolSource = Protocol | (() => Protocol)

/** The protocols that studies can name without a file. */
export const protocolsByName: ReadonlyMap<string, ProtocolSource> = new Map<string, ProtocolSource>([
  ['growing-set', growingSet],
  ['forwarding', forwarding],
  ['yjs-push', yjsPush],
  ['rumour', rumour],
  ['quorum', quorum],
])
