import { z } from 'zod'
import type { Documents, Registers } from '../../document/documents.ts'
import { asDocumentId, parseDocumentId } from '../../document/names.ts'
import type { CommandAnswer, CommandHandler } from '../../federation/federation.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { DocumentId, OperatorId } from '../../ports/names.ts'
import { homeDocument, visitDocument } from '../networks.ts'
import { asValue, keys, readRecords } from '../records.ts'
import { refusals } from '../refusals.ts'
import type { NetworkName } from '../view.ts'
import { isSignedBy, type Statement, statement } from './statement.ts'

/*
 * The grantee's side of a revocation: that a grant has ended is written into its own document of the PN, which all of its
 * servers have; so each of them drops its replica, whichever was told. It stands under the grant's id: one that is given
 * anew is another grant.
 *
 * The home may forget what it has revoked, when it loses its disk and nobody else had the revocation yet: then it offers the
 * document again, to one who drops it each time. So the grantee gives it its own notice back, and the home writes the revocation anew.
 */

const prefix = 'ended/'

/** Ids of the grants whose revocation an operator knows of, from its own document of the PN. */
export function endedGrants(own: Registers): ReadonlySet<string> {
  const ids = new Set<string>()
  for (const [key, { value }] of own.entries(prefix)) if (value !== null) ids.add(key.slice(prefix.length))
  return ids
}

/** As a grantee keeps a notice, under the grant's id. */
const kept = z.object({ server: statement.shape.server, signature: statement.shape.signature })

/** The notice that an operator was given of a grant's end, from its own document of the PN; `undefined` when it was given none. */
export function noticeOf(
  own: Registers,
  ended: Pick<Statement, 'document' | 'grantee' | 'grant'>,
): Statement | undefined {
  const { success, data } = kept.safeParse(own.get(`${prefix}${ended.grant}`)?.value)
  return success ? { ...ended, ...data } : undefined
}

/**
 * Takes the notice of a home operator, and as the home operator its own from a grantee that has kept it. Answered when it is
 * durable: until then it is told again.
 */
export function createRevocationHandler(options: {
  readonly self: OperatorId
  readonly documents: Pick<Documents, 'write'>
  readonly crypto: Pick<Crypto, 'sha256' | 'ed25519'>
}): CommandHandler {
  const { self, documents, crypto } = options
  return async ({ params }, from) => {
    const parsed = statement.safeParse(params)
    const name = parsed.success ? networkNamed(parsed.data) : undefined
    if (!parsed.success || !name) throw refusals.malformed('A notice of revocation names a home document and a grant.')
    const said = parsed.data
    if (name.home === self) return remembered(said, from.operator)
    if (from.operator !== name.home || from.server !== said.server || said.grantee !== self) {
      throw refusals.notAuthorised(
        `Only servers of ${name.home} revoke grants in its Personal Networks, to the grantee.`,
      )
    }
    if (!isSignedBy(said, crypto)) throw refusals.notAuthorised('The notice of revocation is not signed by its server.')
    const { server, signature } = said
    const key = `${prefix}${said.grant}`
    await documents.write(visitDocument(name, self), own => ({
      writes: own.get(key) ? [] : [{ key, value: { server, signature } }],
      answer: undefined,
    }))
    return { ok: true, value: {} }
  }

  /** Whoever gives it back ends a grant of its own, and of nobody else: it need not be known who signed it. */
  async function remembered(said: Statement, from: OperatorId): Promise<CommandAnswer> {
    if (said.grantee !== from || !isSignedBy(said, crypto)) {
      throw refusals.notAuthorised('A notice of revocation is given back by the operator that it was made for.')
    }
    await documents.write(asDocumentId(said.document), home => {
      const { network, grants } = readRecords(home, 'pn')
      const isGiven = grants.get(from)?.id === said.grant
      if (!isGiven || !network) return { writes: [], answer: undefined }
      const revoked = { key: keys.revoked(from, said.grant), value: asValue({ epoch: network.epoch }) }
      return { writes: [{ key: keys.grant(from), value: null }, revoked], answer: undefined }
    })
    return { ok: true, value: {} }
  }
}

function networkNamed({ document }: Statement): NetworkName | undefined {
  try {
    const name = parseDocumentId(document)
    return name.kind === 'pn' ? { home: name.owner, pnId: name.pnId } : undefined
  } catch {
    return undefined
  }
}

/** Whether this operator's grant in a PN of another was revoked, and nothing of the PN is held here any more. */
export async function hasEnded(
  documents: Pick<Documents, 'index' | 'read'>,
  name: NetworkName,
  self: OperatorId,
): Promise<boolean> {
  if (name.home === self || (await documents.index(homeDocument(name)))) return false
  const own = visitDocument(name, self)
  return (await documents.index(own)) !== undefined && endedGrants(await documents.read(own)).size > 0
}

/** What is held here of a PN beside this operator's own documents: the visits of others, then the home document. */
export async function* replicasOf(
  documents: Pick<Documents, 'list'>,
  home: DocumentId,
  self: OperatorId,
): AsyncGenerator<DocumentId> {
  const pn = parseDocumentId(home)
  if (pn.kind !== 'pn') return
  for await (const { document } of documents.list('visit/')) {
    const visit = parseDocumentId(document)
    if (visit.kind === 'visit' && visit.home === pn.owner && visit.pnId === pn.pnId && visit.owner !== self)
      yield document
  }
  yield asDocumentId(home)
}
