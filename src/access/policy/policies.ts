import { toBase64url } from '../../commands/framing.ts'
import { asJson } from '../../commands/plain.ts'
import { asCommandRefusal, commandRefusals } from '../../commands/refusals.ts'
import type { Documents, Registers } from '../../document/documents.ts'
import { documentId } from '../../document/names.ts'
import { type Command, CommandRefused, type MethodSpec, type Principal } from '../../federation/command.ts'
import type { Concern } from '../../federation/lacking.ts'
import type { Trust } from '../../federation/trust.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { ServerIdentity } from '../../ports/identity.ts'
import type { KeySource, Subscriber } from '../../ports/key-source.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import { policyGet, policySet, policyShow } from './methods.ts'
import {
  type ClassRules,
  type ClientClass,
  clientClass,
  defaultOperatorPolicy,
  type OperatorPolicy,
  operatorPolicy,
  rankOf,
  rulesFor,
} from './rules.ts'
import { type PolicyVersion, policyBytes, type ServedPolicy, type SignedPolicy } from './served-policy.ts'

/*
 * The operator's policy at one of its servers. It stands as one register in a document of the operator, `policy/<operator>`, which
 * its servers replicate among themselves: so all of them serve the same one, and the later of two that were said at once
 * holds. What stands there and cannot be read (a later version of this program wrote it) changes nothing.
 */

/** What the rest of access asks of the policy; answered from memory. */
export interface PolicySource {
  rules(kind: ClientClass): ClassRules
  version(kind: ClientClass): PolicyVersion
  /** Whether clients of another operator are taken here. */
  takes(operator: OperatorId): boolean
  /** Hears that clients are to get the policy anew. */
  subscribe(listener: () => void): () => void
}

export interface Policies extends PolicySource {
  readonly commands: readonly Command[]
  /** Reads the policy, then follows it. */
  start(): Promise<void>
  stop(): void
}

/** Without a document: what holds as long as an operator says nothing. */
export const defaultPolicies: PolicySource = {
  rules: kind => rulesFor(defaultOperatorPolicy, kind),
  version: () => ({ stamp: 0, origin: '', manifests: 0 }),
  takes: () => false,
  subscribe: () => () => {},
}

const policyKey = 'policy'

interface Standing {
  readonly policy: OperatorPolicy
  readonly stamp: number
  readonly origin: string
}

const unsaid: Standing = { policy: defaultOperatorPolicy, stamp: 0, origin: '' }

export function createPolicies(options: {
  readonly identity: ServerIdentity
  readonly documents: Pick<Documents, 'read' | 'write' | 'subscribe'>
  readonly trust: Pick<Trust, 'manifestOf' | 'isOpen' | 'operators' | 'subscribe'>
  readonly keys: KeySource
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly telemetry: Telemetry
}): Policies {
  const { identity, documents, trust, keys, crypto, telemetry } = options
  const { operator: self } = identity
  const document = documentId({ kind: 'policy', owner: self })
  const listeners = new Set<() => void>()
  const signed = new Map<ClientClass, SignedPolicy>()
  const classes = clientClass.options
  let standing = unsaid
  let told = ''
  let ends: (() => void)[] = []

  /** Told when what clients get is another one than before. */
  function changed(): void {
    const versions = JSON.stringify(classes.map(version))
    if (versions === told) return
    told = versions
    signed.clear()
    for (const listener of listeners) listener()
  }

  function standingIn(registers: Registers): Standing | undefined {
    const register = registers.get(policyKey)
    if (!register) return unsaid
    const parsed = operatorPolicy.safeParse(register.value)
    if (parsed.success) return { policy: parsed.data, stamp: register.stamp, origin: register.server }
    telemetry.log('error', 'access.policy-unreadable', {
      stamp: register.stamp,
      issue: parsed.error.issues[0]?.message,
    })
    return undefined
  }

  async function read(): Promise<void> {
    const found = standingIn(await documents.read(document))
    if (!found || (found.stamp === standing.stamp && found.origin === standing.origin)) return
    standing = found
    telemetry.log('info', 'access.policy', { stamp: found.stamp, origin: found.origin })
    changed()
  }

  const unreadable = (error: unknown): void =>
    telemetry.log('error', 'access.policy-unreadable', { message: String(error) })

  const follow = (): void => void read().catch(unreadable)

  const seqOf = (operator: OperatorId): number => trust.manifestOf(operator)?.seq ?? 0

  function version(kind: ClientClass): PolicyVersion {
    const { partners } = rulesFor(standing.policy, kind)
    const manifests = [self, ...partners].reduce((sum, operator) => sum + seqOf(operator), 0)
    return { stamp: standing.stamp, origin: standing.origin, manifests }
  }

  /** The servers of an operator that this one works with, by its manifest, and by which URLs clients reach them. */
  function placesOf(operator: OperatorId): { server: ServerId; urls: string[] }[] {
    const manifest = trust.isOpen(operator) ? trust.manifestOf(operator) : undefined
    return (manifest?.servers ?? [])
      .filter(({ clientUrls }) => clientUrls.length > 0)
      .map(({ peerId, clientUrls }) => ({ server: peerId, urls: [...clientUrls] }))
  }

  function served(kind: ClientClass): ServedPolicy {
    const rules = rulesFor(standing.policy, kind)
    const { servers: _, partners, ...conduct } = rules
    return {
      operator: self,
      class: kind,
      version: version(kind),
      ...conduct,
      servers: placesOf(self).flatMap(place => {
        const rank = rankOf(rules, place.server)
        return rank ? { ...place, weight: rank.weight, order: rank.order } : []
      }),
      partners: partners.map(operator => ({ operator, servers: placesOf(operator) })),
    }
  }

  function signedFor(kind: ClientClass): SignedPolicy {
    const known = signed.get(kind)
    if (known) return known
    const text = JSON.stringify(served(kind))
    const signature = toBase64url(identity.sign('cpns-policy-v1', crypto.sha256(policyBytes(text))))
    const made = { text, signer: identity.server, signature }
    signed.set(kind, made)
    return made
  }

  /** @throws {CommandRefused} 403, 503 */
  async function subscriberOf({ operator, identity: name }: Principal): Promise<Subscriber> {
    const found =
      operator === self &&
      (await keys.find(name).catch(() => {
        throw commandRefusals.keySource()
      }))
    if (found) return found
    throw commandRefusals.notAuthorised(`The policy of ${self} is for its own subscribers.`)
  }

  async function requireProvisioning(principal: Principal): Promise<void> {
    const { rights } = await subscriberOf(principal)
    if (!rights?.includes('provision'))
      throw commandRefusals.notAuthorised(
        'Only a subscriber with the right to provision does this: cpns subscriber add NAME --right provision.',
      )
  }

  /** Nobody is sent to a server that the manifests do not name. @throws {CommandRefused} 400 */
  function requireKnown({ standard, emergency, takes }: OperatorPolicy): void {
    const own = trust.manifestOf(self)?.servers.map(({ peerId }) => peerId) ?? []
    const named = [standard, emergency].flatMap(rules => rules?.servers ?? [])
    const stranger = named.find(({ server }) => !own.includes(server))
    if (stranger) throw refused(`${stranger.server} is no server of ${self} by its manifest.`, 'SERVER_UNKNOWN')
    const others = [...takes, ...standard.partners, ...(emergency?.partners ?? [])]
    const unknown = others.find(operator => operator === self || !trust.operators().includes(operator))
    if (unknown === self) throw refused(`${self} is this operator itself, no partner of it.`, 'OPERATOR_UNKNOWN')
    if (unknown) throw refused(`${unknown} is not trusted here: cpns peer trust FILE.`, 'OPERATOR_UNKNOWN')
  }

  const shown = () => ({ operator: self, version: version('standard'), policy: standing.policy })

  const commands = [
    command(policyGet, async (_params, principal) => {
      const { rights } = await subscriberOf(principal)
      return signedFor(rights?.includes('emergency') ? 'emergency' : 'standard')
    }),
    command(policyShow, async (_params, principal) => {
      await requireProvisioning(principal)
      return shown()
    }),
    command(
      policySet,
      async ({ policy, expectedStamp, time }, principal) => {
        await requireProvisioning(principal)
        requireKnown(policy)
        await documents
          .write(document, registers => {
            const value = asJson(policy)
            const { stamp = 0, value: before } = registers.get(policyKey) ?? {}
            // The same command once more, or the same policy: it is said already.
            if (JSON.stringify(before) === JSON.stringify(value)) return { writes: [], answer: undefined }
            const isOutdated =
              (expectedStamp !== undefined && expectedStamp !== stamp) || (time !== undefined && time <= stamp)
            if (isOutdated)
              throw new CommandRefused(409, `The policy is another one by now, said at ${stamp}.`, 'VERSION_CONFLICT')
            return { writes: [{ key: policyKey, value, ...(time !== undefined && { at: time }) }], answer: undefined }
          })
          .catch(asCommandRefusal)
        await read()
        return shown()
      },
      () => [document],
    ),
  ] as readonly Command[]

  return {
    commands,
    rules: kind => rulesFor(standing.policy, kind),
    version,
    takes: operator => standing.policy.takes.includes(operator),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async start() {
      ends = [
        documents.subscribe(notice => {
          if (notice.document === document) follow()
        }),
        trust.subscribe(() => {
          // Where clients of a partner are sent changes with its manifest, and with who is in quarantine.
          signed.clear()
          changed()
        }),
      ]
      // A policy that cannot be read now is one that nobody has given; it is followed when it is here again.
      await read().catch(unreadable)
    },
    stop() {
      for (const end of ends) end()
      ends = []
    },
  }
}

/** Executed here, for whoever asked; none of them is forwarded. */
const command = <P, R>(
  spec: MethodSpec<P, R>,
  execute: (params: P, principal: Principal) => Promise<R>,
  concern?: () => Concern,
): Command<P, R> => ({ spec, execute, ...(concern && { concern }) })

const refused = (message: string, reason: string) => new CommandRefused(400, message, reason)
