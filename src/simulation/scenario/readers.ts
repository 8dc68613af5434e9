import type { Doc } from 'yjs'
import type { Session } from '../../client/session.ts'
import type { Register } from '../../document/documents.ts'
import { isLater, readRegisters } from '../../document/registers-view.ts'
import type { DocumentId } from '../../ports/names.ts'
import type { SimulatedClient } from '../federation/client.ts'
import type { SimulatedFederation } from '../federation/federation.ts'

/** What a reader saw last, and at which run of which server. */
interface Sight {
  readonly server: string
  readonly registers: Map<string, Register>
}

/** A register that went back. */
export interface Regression {
  readonly reader: string
  readonly document: DocumentId
  readonly key: string
  readonly from: Register
  readonly to: Register | undefined
  /** Whether the reader had gone to another server, or to another run of it, in between. */
  readonly elsewhere: boolean
  readonly server: string
  readonly timeMs: number
}

/**
 * Watches what readers are shown: at one server no register ever goes back to an older stamp. A reader that goes
 * to another server may meet one that is behind; that is counted apart.
 */
export class Readers {
  readonly regressions: Regression[] = []
  sights = 0
  readonly #federation: SimulatedFederation
  readonly #seen = new Map<string, Sight>()

  constructor(federation: SimulatedFederation) {
    this.#federation = federation
  }

  saw(client: SimulatedClient, session: Session, document: DocumentId, doc: Doc): void {
    this.sights += 1
    const name = `${client.host.name} ${document}`
    const server = this.#serverOf(session)
    const before = this.#seen.get(name)
    const registers = new Map(readRegisters(doc).entries())
    for (const [key, from] of before?.registers ?? []) {
      const to = registers.get(key)
      const isOlder = to ? isLater(from, to) : from.value !== null
      if (!isOlder) continue
      const elsewhere = before?.server !== server
      this.regressions.push({
        reader: client.host.name,
        document,
        key,
        from,
        to,
        elsewhere,
        server,
        timeMs: this.#federation.world.nowMs,
      })
    }
    this.#seen.set(name, { server, registers })
  }

  #serverOf({ state }: Session): string {
    if (state.kind !== 'connected') return state.kind
    const server = this.#federation.servers.find(({ card }) => card.identity.server === state.server)
    return `${server?.name} ${server?.host.runs.length}`
  }
}
