import { framed, toBase64url, utf8 } from '../../commands/framing.ts'
import type { RegisterWrite } from '../../document/documents.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { OperatorSecrets } from '../../ports/identity.ts'
import type { OperatorId } from '../../ports/names.ts'
import type { Random } from '../../ports/random.ts'
import type { NetworkDecision, Networks } from '../networks.ts'
import type { Flow } from '../procedure.ts'
import { pneKey } from '../records.ts'
import { groupIn, homeExecutor, isIn, isRegisteredHere, liveView, networkNameOf, requireRegistered } from './acting.ts'
import { cleared } from './creating.ts'
import { type GroupKeyParams, type GroupKeyResult, groupKey } from './methods.ts'
import { asGroupValue, groupKeys, type KeyRecord } from './records.ts'
import { groupRefusals } from './refusals.ts'
import { type GroupView, isSameMembership, tagOf } from './view.ts'

/*
 * `group.key`: the content key of a service group, for its members and nobody else.
 *
 * A generation is a random name, written in the home document when the first member asks for a key after a change of the
 * membership, with the tags of exactly those members. The key is derived from that name and a secret that the home
 * operator's servers share: each of them derives the same, no document holds it, and knowing any other key or the document
 * tells nothing of it. Nobody gets the key of a generation that is not written yet, so who leaves cannot have the next one
 * in advance; who joins gets no earlier one, unless the group's history is open, and then only one that has been followed
 * by another, so that nobody who leaves holds the key of those who stay.
 *
 * Two servers that do not reach each other may each name a generation for the same members: both keys stay good, and the
 * later name is the one to seal with.
 */

export interface ContentKeyOptions {
  readonly self: OperatorId
  readonly networks: Networks
  readonly macKeys: OperatorSecrets['macKeys']
  readonly crypto: Pick<Crypto, 'hkdfSha256'>
  readonly random: Pick<Random, 'bytes'>
  readonly maxGenerations: number
}

const groupLabel = 'cpns group content v1'
const keyBytes = 32
const generationBytes = 16

export function keying(options: ContentKeyOptions): Flow<GroupKeyParams, GroupKeyResult> {
  const { self, networks, macKeys, crypto, random, maxGenerations } = options
  const secrets = new Map(
    macKeys.map(({ version, key }) => [version, crypto.hkdfSha256(key, new Uint8Array(0), utf8(groupLabel), keyBytes)]),
  )
  const keyVersion = macKeys.at(-1)?.version ?? 0

  return {
    spec: groupKey,
    network: networkNameOf,
    executor: homeExecutor(self),
    isVouchedFor: true,
    secretResult: true,
    isReady: isRegisteredHere,

    async perform(params) {
      const { home, pnId, groupId, pne } = params
      const fresh = toBase64url(random.bytes(generationBytes))
      const { generation, version, epoch } = await networks.write(
        networkNameOf(params),
        (state): NetworkDecision<{ generation: string; version: number; epoch: number }> => {
          const view = liveView(params, state)
          const group = groupIn(groupId, view, state)
          requireRegistered(view, pne)
          if (!isIn(group, pne)) throw groupRefusals.notMember(pne, groupId)
          const { epoch } = view.inventory
          const mint = () => nextGeneration(group, { epoch, keyVersion, fresh, maxGenerations, groupId })
          if (params.generation !== undefined) {
            const { generation, record, isOwn } = keptGeneration(group, params)
            const writes = isOwn || presentGeneration(group, keyVersion) ? [] : mint()
            return { writes, answer: () => ({ generation, version: record.keyVersion, epoch }) }
          }
          const present = presentGeneration(group, keyVersion)
          if (present) return { writes: [], answer: () => ({ generation: present, version: keyVersion, epoch }) }
          return { writes: mint(), answer: () => ({ generation: fresh, version: keyVersion, epoch }) }
        },
        () => [],
      )
      const secret = secrets.get(version)
      if (!secret) throw groupRefusals.generationUnknown(generation)
      const info = framed(groupLabel, home, pnId, `${epoch}`, groupId, generation)
      return { generation, key: toBase64url(crypto.hkdfSha256(secret, new Uint8Array(0), info, keyBytes)) }
    },
  }
}

/** The last generation, if it is of the present members and under the present secret. */
function presentGeneration({ generations: [last], tags }: GroupView, keyVersion: number): string | undefined {
  if (!last || last[1].keyVersion !== keyVersion) return undefined
  return isSameMembership(last[1].members, tags) ? last[0] : undefined
}

/** A generation for the present members, and room for it: those that are kept too long are cleared away. */
function nextGeneration(
  { generations, tags }: GroupView,
  given: {
    readonly epoch: number
    readonly keyVersion: number
    readonly fresh: string
    readonly maxGenerations: number
    readonly groupId: string
  },
): RegisterWrite[] {
  const { epoch, keyVersion, fresh, maxGenerations, groupId } = given
  const number = (generations[0]?.[1].number ?? 0) + 1
  const record: KeyRecord = { epoch, number, keyVersion, members: [...tags] }
  const beyond = generations.slice(maxGenerations - 1).map(([id]) => groupKeys.key(groupId, id))
  return [{ key: groupKeys.key(groupId, fresh), value: asGroupValue(record) }, ...beyond.map(cleared)]
}

/** One that the caller was in, or any that is kept where the group lets its members read back. @throws {CommandRefused} 404 */
function keptGeneration({ shown, generations }: GroupView, { generation = '', pne }: GroupKeyParams) {
  const record = generations.find(([id]) => id === generation)?.[1]
  const self = shown.members.find(member => pneKey(member) === pneKey(pne))
  const isOwn = self !== undefined && record?.members.includes(tagOf(self)) === true
  if (!record || !(isOwn || shown.history === 'open')) throw groupRefusals.generationUnknown(generation)
  return { generation, record, isOwn }
}
