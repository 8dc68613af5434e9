import { framed } from '../../commands/framing.ts'
import { createOperatorSeal, type OperatorSeal } from '../../commands/operator-seal.ts'
import type { Pne } from '../fields.ts'
import type { NetworkName } from '../view.ts'

/*
 * The session key of a registration, sealed for the operator and kept by the PNE, as a session ticket of TLS is. The PNE
 * shows it whenever it comes back; whichever server of the operator it comes to has the key then, and none has to keep it.
 */

/** Whose session it is: a ticket opens for nothing else. */
export interface SessionName extends NetworkName {
  readonly pne: Pne
  readonly transaction: string
}

export interface SessionTickets {
  /** @param nonce 12 bytes that serve for nothing else */
  seal(session: SessionName, sessionKey: Uint8Array, version: number, nonce: Uint8Array): string
  /** The session key, 32 bytes; `undefined` when the ticket is not of this operator for this session. */
  open(session: SessionName, ticket: string): Uint8Array | undefined
}

export function createSessionTickets(
  options: Omit<Parameters<typeof createOperatorSeal>[0], 'purpose'>,
): SessionTickets {
  const seal: OperatorSeal = createOperatorSeal({ ...options, purpose: 'cpns session ticket v1' })
  const bound = ({ home, pnId, pne, transaction }: SessionName) =>
    framed(home, pnId, pne.operator, pne.pneId, transaction)
  return {
    seal: (session, sessionKey, version, nonce) => seal.seal(version, nonce, sessionKey, bound(session)),
    open: (session, ticket) => seal.open(ticket, bound(session)),
  }
}
