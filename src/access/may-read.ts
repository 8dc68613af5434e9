import type { Principal } from '../federation/command.ts'
import type { DocumentId } from '../ports/names.ts'

/** Whether somebody may read a document now; decided by the layer that the document belongs to. */
export type MayRead = (principal: Principal, document: DocumentId) => boolean | Promise<boolean>

/** The same for who reads already: an answer that cannot be had now does not interrupt, it is asked for again. */
export async function mayStillRead(mayRead: MayRead, principal: Principal, document: DocumentId): Promise<boolean> {
  try {
    return await mayRead(principal, document)
  } catch {
    return true
  }
}
