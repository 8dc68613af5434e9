import { Damages } from '../../document/damage.ts'
import { takeApart } from '../../document/salvage.ts'
import { survey } from '../../document/survey.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { LogStore } from '../../ports/log-store.ts'

/** A record that the disk has changed or lost. */
export interface Fault {
  /** The document whose record it is; `undefined` for a record of this server alone. */
  readonly document: string | undefined
  readonly record: string
  /** What it means, and what was done or is to be done about it. */
  readonly detail: string
}

export interface Verified {
  readonly documents: number
  readonly bytes: number
  readonly faults: readonly Fault[]
  /** Documents that were found damaged earlier, and are refused until peers have made them whole. */
  readonly damaged: readonly string[]
}

export interface VerifyOptions {
  readonly store: LogStore
  /** Takes damaged documents apart, so that peers are asked for what is lost, and removes damaged records of this server. */
  readonly repairs: boolean
  readonly clock: Pick<Clock, 'now'>
  readonly crypto: Crypto
  readonly told: (progress: { readonly documents: number; readonly bytes: number }) => void
}

/**
 * Reads everything that a store holds, and names each fault.
 * @throws {CorruptRecord} when the disk has changed what holds many records
 */
export async function verifyStore({ store, repairs, clock, crypto, told }: VerifyOptions): Promise<Verified> {
  const damages = new Damages(store, crypto)
  const faults: Fault[] = []
  let documents = 0
  let bytes = 0
  for await (const found of survey(store, crypto)) {
    bytes += found.bytes
    if (found.kind === 'document') documents += 1
    told({ documents, bytes })
    if (!found.fault) continue
    const { record } = found.fault
    if (found.kind === 'document') {
      const { document } = found
      if (repairs) await takeApart(document, { store, clock, crypto, damages })
      faults.push({ document, record, detail: repairs ? fetched : refused })
    } else {
      if (repairs) await store.commit({ documents: [], local: [{ key: found.key, value: undefined }] })
      faults.push({ document: undefined, record, detail: detailOf(found.kind, repairs) })
    }
  }
  await damages.read()
  return { documents, bytes, faults, damaged: damages.all.map(({ document }) => document) }
}

function detailOf(kind: 'local' | 'fact', repairs: boolean): string {
  if (kind === 'fact') return repairs ? takenOut : derived
  return repairs ? removed : unreadable
}

const derived = 'The node derives it anew from its document; nothing is lost.'
const takenOut = 'It was removed; the node derives it anew from its document, and nothing is lost.'
const refused = 'The node refuses the document until its peers have brought what is lost.'
const fetched = 'What is whole of it was kept. It is refused until peers have brought the rest, after the next start.'
const unreadable = 'No peer has it: cpns verify --repair removes it, and the node does without.'
const removed = 'No peer has it. It was removed, and the node does without.'
