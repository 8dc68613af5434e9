import type { Registers } from '../document/documents.ts'
import { documentId } from '../document/names.ts'
import { effectiveGroups } from '../inventory/groups/view.ts'
import type { Inventory, ServiceGroup } from '../inventory/methods.ts'
import { granteesOf } from '../inventory/records.ts'
import { effectiveInventory, type NetworkDocuments, type NetworkName } from '../inventory/view.ts'
import type { Clock } from '../ports/clock.ts'
import type { OperatorId } from '../ports/names.ts'
import { type ClientDocument, openDocument } from './document.ts'
import type { Session } from './session.ts'

export interface InventoryListener {
  /** Called when all documents were read for the first time, and with every change of one of them. */
  changed(inventory: Inventory | undefined): void
  /** The PN can be read no longer. Nothing comes after. */
  ended?(error: Error): void
}

/**
 * The effective inventory of a Personal Network, live: the documents of all operators that have a part in it, read along,
 * and the same pure view over them that every server has.
 */
export interface InventoryReader {
  /**
   * The inventory at a time (milliseconds since 1970), now unless it says otherwise: what expires does so without any
   * change of a document. `undefined` where no PN was ever established, or until all documents were read.
   */
  inventory(at?: number): Inventory | undefined
  /** The service groups of the Personal Network at a time, likewise. */
  groups(at?: number): readonly ServiceGroup[] | undefined
  /** Operators whose part cannot be read by this client, so that it is missing from the inventory. */
  readonly missing: readonly OperatorId[]
  close(): void
}

export function readInventory(
  session: Session,
  clock: Clock,
  { home, pnId }: NetworkName,
  listener: InventoryListener,
): InventoryReader {
  const visits = new Map<OperatorId, ClientDocument>()
  const missing = new Set<OperatorId>()
  let closed = false

  const homeDocument = openDocument(session, clock, documentId({ kind: 'pn', owner: home, pnId }), {
    changed() {
      followGrantees()
      tell()
    },
    ended(error) {
      close()
      listener.ended?.(error)
    },
  })

  function followGrantees() {
    const grantees = new Set(granteesOf(homeDocument.registers()))
    for (const operator of grantees) if (!visits.has(operator) && !missing.has(operator)) follow(operator)
    for (const [operator, document] of visits) {
      if (grantees.has(operator)) continue
      document.close()
      visits.delete(operator)
    }
  }

  function follow(operator: OperatorId) {
    const id = documentId({ kind: 'visit', owner: operator, home, pnId })
    const document = openDocument(session, clock, id, {
      changed: tell,
      ended() {
        missing.add(operator)
        visits.delete(operator)
        tell()
      },
    })
    visits.set(operator, document)
  }

  function documentsNow(): NetworkDocuments | undefined {
    const documents = [homeDocument, ...visits.values()]
    if (!documents.every(document => document.isComplete)) return undefined
    const registers = new Map<OperatorId, Registers>()
    for (const [operator, document] of visits) registers.set(operator, document.registers())
    return { home: homeDocument.registers(), visits: registers }
  }

  function inventory(at: number = clock.now()): Inventory | undefined {
    const found = documentsNow()
    return found && effectiveInventory({ home, pnId }, found, at)
  }

  function groups(at: number = clock.now()): readonly ServiceGroup[] | undefined {
    const found = documentsNow()
    return found && effectiveGroups({ home, pnId }, found, at)
  }

  function tell() {
    if (closed) return
    if ([homeDocument, ...visits.values()].every(document => document.isComplete)) listener.changed(inventory())
  }

  function close() {
    if (closed) return
    closed = true
    homeDocument.close()
    for (const document of visits.values()) document.close()
  }

  return {
    inventory,
    groups,
    get missing() {
      return [...missing]
    },
    close,
  }
}
