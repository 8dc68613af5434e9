import type { ActorSystem } from '../actor/types.ts'
import type { Attached } from '../commands/attached.ts'
import { createMemory } from '../commands/memory.ts'
import { createProofCheck } from '../commands/proofs.ts'
import type { Documents } from '../document/documents.ts'
import { type FactProgress, Facts } from '../document/facts.ts'
import { asDocumentId, ownerOf } from '../document/names.ts'
import type { Command, MethodSpec, Principal } from '../federation/command.ts'
import type { CommandHandler, Entitlement, Federation } from '../federation/federation.ts'
import type { CertificateCheck } from '../ports/certificates.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { OperatorSecrets, ServerIdentity } from '../ports/identity.ts'
import type { KeySource } from '../ports/key-source.ts'
import type { LogStore } from '../ports/log-store.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'
import type { Random } from '../ports/random.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { administration } from './administration.ts'
import { attachment } from './attachment.ts'
import { mayReadNetwork, owns } from './authority.ts'
import { createBelongings } from './belongings.ts'
import { commandOf, type DispatchOptions, handlerOf } from './dispatch.ts'
import { createGrants } from './entitlement.ts'
import { establishment, release } from './establishment.ts'
import { createExecution, derivedPnId } from './execution.ts'
import { createForwarding } from './forwarding/create-forwarding.ts'
import { activation, lookingAround } from './gateways/activation.ts'
import { detachment } from './gateways/detachment.ts'
import { granting } from './granting.ts'
import { offerGroups } from './groups/offer-groups.ts'
import { inventoryQuery } from './inventory-query.ts'
import { deliverMethod } from './invitations/letter.ts'
import { offerInvitations } from './invitations/offer-invitations.ts'
import { defaultLimits, type InventoryLimits } from './limits.ts'
import { createLive } from './live.ts'
import { type Inventory, inventoryNotifications } from './methods.ts'
import { type NetworkFact, networkFacts } from './network-facts.ts'
import { finding, listing } from './network-queries.ts'
import { createNetworks, homeDocument, networkOf, visitDocument } from './networks.ts'
import type { Notices } from './notices/notices.ts'
import type { PresenceService } from './presence/presence.ts'
import type { Procedure } from './procedure.ts'
import { createRecordCache } from './record-cache.ts'
import { offerRegistration } from './registration/offer-registration.ts'
import { createRates } from './registration/rates.ts'
import { createSessionTickets } from './registration/session-ticket.ts'
import { createRevocationHandler, hasEnded } from './revocation/ending.ts'
import { revokedMethod, type Statement } from './revocation/statement.ts'
import { createTelling } from './revocation/telling.ts'
import { rosterUpdate } from './roster.ts'
import { executing } from './secure/executing.ts'
import { opening } from './secure/opening.ts'
import { pushing } from './secure/pushing.ts'
import { secretly, vouchedFor } from './secure/secret-results.ts'
import { carryMethod, sending } from './secure/sending.ts'
import { createSecureSessions } from './secure/sessions.ts'
import { change } from './settings.ts'
import { createTurns } from './turns.ts'
import { usageQuerying } from './usage/querying.ts'
import { reporting } from './usage/reporting.ts'
import type { NetworkName } from './view.ts'

export interface InventoryOptions {
  readonly operator: OperatorId
  /** This server; what it signs are notices to other operators. */
  readonly identity: ServerIdentity
  readonly documents: Documents
  readonly keys: KeySource
  /** Left out: no PNE registers with a certificate. */
  readonly certificates?: CertificateCheck | undefined
  readonly secrets: OperatorSecrets
  readonly actors: ActorSystem
  /** For what this server alone remembers; documents go through `documents`. */
  readonly store: Pick<LogStore, 'local' | 'localScan' | 'commit'>
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly telemetry: Telemetry
  readonly limits?: Partial<InventoryLimits>
}

/** Personal Networks at one server: their commands, who may hold and who may read their documents. */
export interface InventoryService {
  /** Every method of `methods.ts`, as this server's clients call it. */
  readonly commands: readonly Command[]
  /** Known from `start` on; the federation needs it, so it comes first, and the federation joins. */
  readonly entitlement: Entitlement
  /** Forwards commands through the federation, and executes those that others forward. To be called once, before `start`. */
  join(federation: Federation): void
  /**
   * Learns what may be held by whom; to be awaited before the federation starts. Clients may be served meanwhile: what their
   * commands need of it is learned first, and lists of all PNs of a subscriber are refused (503, `STARTING`). Breaks off when the
   * signal says so.
   */
  start(signal?: AbortSignal): Promise<void>
  /** How far the start has come. */
  readonly starting: FactProgress
  stop(): Promise<void>
  /** Whether a client may read a document: the owner, the gateways and the elements of its PN may. */
  mayRead(principal: Principal, document: DocumentId): Promise<boolean>
  /** The effective inventory of a PN at a time (default: now), if this server holds its home document. */
  inventoryOf(home: OperatorId, pnId: string, at?: number): Promise<Inventory | undefined>
  /** Who is attached here: told by whoever accepts clients. */
  readonly attached: Attached
  readonly notices: Notices
  readonly presence: PresenceService
}

/** How often what need no longer be remembered is removed from disk. */
const sweepEveryMs = 3_600_000

export function createInventory(options: InventoryOptions): InventoryService {
  const {
    operator: self,
    identity,
    documents,
    keys,
    secrets,
    actors,
    store,
    clock,
    random,
    crypto,
    telemetry,
  } = options
  const limits = { ...defaultLimits, ...options.limits }

  const { server } = identity

  let joined: Federation | undefined
  let stopFollowingLinks: Cancel = () => {}
  const federation = () => {
    if (!joined) throw new Error('The inventory has joined no federation yet; call join first.')
    return joined
  }

  const records = createRecordCache({ documents, telemetry })
  const keptMs = limits.registrationMs
  const networks = createNetworks({ operator: self, documents, records, clock, keptMs })
  const memory = createMemory({ store, crypto, clock })
  const telling = createTelling({ identity, store, federation, clock, random, crypto, telemetry })
  const { offlineMs, replicaWaitMs: arrivalMs } = limits
  const belongings = createBelongings(random.bytes(8))
  const grants = createGrants({
    ...{ self, documents, clock, telemetry, offlineMs, arrivalMs, contradicted },
    granted: telling.granted,
    refresh: home => facts.refresh(home),
  })
  const facts = new Facts<NetworkFact>({
    ...{ derivation: networkFacts(self), documents, store, clock, telemetry },
    learned(document, known) {
      belongings.learn(document, known?.fact.named ?? [])
      return grants.learned(document, known)
    },
  })
  /** By whom the home document may be held; while the start goes on it is read, and before it our own visit. */
  async function knowGrants(name: NetworkName): Promise<void> {
    if (facts.isLoaded) return
    await begun.promise
    await facts.know(visitDocument(name, self))
    await facts.know(homeDocument(name))
  }
  const begun = Promise.withResolvers<void>()
  /** What gets lost is given back the next time that the home offers what it does not give any more. */
  function contradicted(notice: Statement): void {
    const home = ownerOf(asDocumentId(notice.document))
    const told = { document: notice.document, operator: home }
    joined?.request(home, { method: revokedMethod, params: notice }).then(
      ({ ok }) => telemetry.log('warn', 'inventory.revocation.given-back', { ...told, isTaken: ok }),
      error => telemetry.log('error', 'inventory.revocation.not-given-back', { ...told, message: String(error) }),
    )
  }
  const turns = createTurns(actors, clock)
  const execution = createExecution({ networks, turns, memory, crypto, limits })
  const { decided, flow, query } = execution
  const tickets = createSessionTickets({ macKeys: secrets.macKeys, crypto })
  const rates = createRates(clock, limits.rates)
  const proofs = createProofCheck({ self, keys, crypto, clock })
  const specs = new Map<string, MethodSpec>()
  const forwarding = createForwarding({
    ...{ self, store, proofs, federation, clock, random, crypto, telemetry },
    specOf: method => specs.get(method),
    notices: () => live.notices,
    limits: limits.forwarding,
  })
  const { waiting } = forwarding
  const dispatch: DispatchOptions = {
    ...{ self, networks, proofs, federation, waiting, replicaWaitMs: limits.replicaWaitMs },
    hasEnded: name => hasEnded(documents, name, self),
  }

  const live = createLive({
    self,
    server,
    documents,
    networks,
    grants,
    notifications: inventoryNotifications,
    federation,
    clock,
    random,
    telemetry,
    limits,
  })
  const { attached, notices, presence } = live

  const commands: Command[] = []
  const handlers = new Map<string, CommandHandler>()
  /** The one place where a method's own types end: callers have parsed its parameters by its schema. */
  function offer<Params, Result>(procedure: Procedure<Params, Result>): void {
    commands.push(secretly(self, procedure, commandOf(procedure, dispatch)) as Command)
    handlers.set(procedure.spec.method, vouchedFor(procedure, handlerOf(procedure, dispatch)))
    specs.set(procedure.spec.method, procedure.spec)
  }
  const execute = executing(() => commands, federation, telemetry)
  const sessions = createSecureSessions({
    server,
    actors,
    clock,
    crypto,
    random,
    telemetry,
    limits: limits.secure,
    execute: (call, { pneId }) => execute(call, { operator: self, identity: pneId }),
    attach: ({ pneId }, tell) =>
      attached.enter({ operator: self, identity: pneId }, (method, params) => tell({ method, params })),
    push: pushing({ networks, notices, telemetry, limits: limits.notices }),
  })
  const secure = { server, networks, crypto, clock, tickets, sessions, random, federation }
  offer(rates.limited(flow(opening(secure))))
  const { send, carry } = sending(secure)
  offer(query(send))
  handlers.set(carryMethod, carry)
  offer(decided(establishment(self, derivedPnId(crypto))))
  offer(decided(rosterUpdate({ self, keptMs, ...limits })))
  offer(decided(change))
  offer(decided(release))
  offer(decided(administration(self)))
  offer(query(inventoryQuery(self, networks)))
  offer(decided(granting(operator => federation().fingerprintOf(operator), limits.maxGrants)))
  offer(decided(attachment(self, limits.maxGateways)))
  offer(decided(detachment(self)))
  offer(lookingAround(decided(activation(self, presence.reachable)), networks, presence))
  offerRegistration(offer, execution, {
    ...{ self, networks, memory, tickets, rates, notices, keys, secrets, crypto, random, clock, limits },
    certificates: options.certificates,
  })
  offer(decided(reporting(self, limits.usage)))
  offer(query(usageQuerying(self, networks, documents)))
  commands.push(forwarding.command)

  const offerCommand = <Params, Result>(command: Command<Params, Result>) => commands.push(command as Command)
  const known = { networks, belongings, facts }
  offerCommand(listing(known))
  offerCommand(finding(known))
  live.offer(found => offerCommand(commandOf(query(found), dispatch)))
  const { macKeys } = secrets
  const groups = { ...limits, self, networks, documents, notices, macKeys, crypto, random, clock, keptMs }
  offerGroups({ offer, offerCommand }, execution, groups)
  const invitations = offerInvitations({ offer, offerCommand }, execution, {
    rules: { self, keptMs, ...limits },
    networks,
    documents,
    keys,
    notices,
    federation,
    store,
    crypto,
    clock,
    telemetry,
    limits: limits.invitations,
  })

  let cancelSweep: Cancel = () => {}
  async function sweep(): Promise<void> {
    try {
      const removed = await memory.sweep()
      await waiting.sweep()
      grants.sweep()
      if (removed > 0) telemetry.log('debug', 'inventory.memory.swept', { removed })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('error', 'inventory.memory.sweep-failed', { message })
    }
  }
  function sweepLater(): void {
    cancelSweep = clock.after(sweepEveryMs, () => {
      sweepLater()
      void sweep()
      void invitations.sweep()
    })
  }

  return {
    commands,
    entitlement: grants,
    attached,
    notices,
    presence,

    join(found) {
      joined = found
      for (const [method, handler] of handlers) found.handle(method, handler)
      found.handle(deliverMethod, invitations.receive)
      stopFollowingLinks = found.subscribe(({ type, operator }) => {
        if (type !== 'up') return
        invitations.linked(operator)
        telling.linked(operator)
      })
      live.join(found)
      forwarding.join(found)
      found.handle(revokedMethod, createRevocationHandler({ self, documents, crypto }))
    },

    get starting() {
      return facts.progress
    },

    async start(signal) {
      await telling.start()
      facts.follow()
      begun.resolve()
      await waiting.start()
      await facts.load(signal)
      if (signal?.aborted) return
      sweepLater()
      void sweep()
    },

    async stop() {
      begun.resolve()
      cancelSweep()
      stopFollowingLinks()
      live.stop()
      forwarding.stop()
      telling.stop()
      grants.stop()
      records.stop()
      await facts.stop()
    },

    async mayRead(principal, document) {
      const name = networkOf(document)
      if (name) await knowGrants(name)
      if (!name || !grants.mayHold(homeDocument(name), self)) return false
      const owner = await networks.ownerOf(name)
      if (owner !== undefined && owns(principal, name.home, owner)) return true
      const view = await networks.view(name)
      return view !== undefined && mayReadNetwork(view, { kind: 'subscriber', principal })
    },

    inventoryOf: async (home, pnId, at) => (await networks.view({ home, pnId }, at))?.inventory,
  }
}
