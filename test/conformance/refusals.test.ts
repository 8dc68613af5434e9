/*
 * Property: a real server refuses a stranger, an operator whose manifest has expired, a manifest that is older than one it
 * has seen, a server that was revoked while it was connected, and a forwarded command without the client's proof. Each
 * time its log says whom and why, its counters count the reason, and nothing of the operator's goes out: who was refused
 * holds none of its documents, although the documents themselves would be granted to it. It would fail if anything stood
 * in the way of a refusal, if one was silent, or if something was sent first and refused later.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type ServerFolder, trustEachOther } from '../../examples/support/operators.ts'
import { cpns, type LogLine } from '../../examples/support/server-process.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { readRootKey } from '../../src/adapters/operator-keys.ts'
import {
  documentId,
  documentOpen,
  type NetworkName,
  operatorId,
  pnInventory,
  pnUpdate,
  type Session,
} from '../../src/client/node.ts'
import type { CommandAnswer } from '../../src/federation/federation.ts'
import { formatManifest, nextManifest, parseManifest } from '../../src/federation/manifest.ts'
import { signProof } from '../../src/federation/proof.ts'
import { until } from '../fixtures/until.ts'
import { roguePeer } from './rogue-peer.ts'
import { arrived, establish, isAbout, keyOf, newCommand, openStage, type Server, type Stage } from './stage.ts'

const dayMs = 24 * 60 * 60 * 1000
const home = operatorId('a.example')
/** Shared with everybody, so that nothing but the refusal keeps its documents back. */
const shared = { home, pnId: 'shared' }
/** Shared with nobody. */
const secret = { home, pnId: 'secret' }
const documentOf = ({ pnId }: NetworkName) => documentId({ kind: 'pn', owner: home, pnId })

interface Context {
  stage: Stage
  /** The server that refuses. */
  server: Server
  owner: Session
  /** Never pinned. */
  stranger: ServerFolder
  /** Pinned, with a manifest that has run out. */
  expired: ServerFolder
  /** Pinned, with its second manifest known. */
  renewed: ServerFolder
  /** The first one. */
  oldManifest: string
}

const test = suite<Context>('refusals')

test.before(async context => {
  const stage = await openStage()
  context.stage = stage
  const [a, stranger, expired, renewed] = await Promise.all(
    ['a', 'stranger', 'expired', 'renewed'].map(name => stage.folder(name, `${name}.example`)),
  )
  if (!a || !stranger || !expired || !renewed) throw new Error('There are four.')
  await writeFile(expired.manifest, await expiredManifest(expired))
  context.oldManifest = await readFile(renewed.manifest, 'utf8')
  await cpns('manifest', 'sign', '--config', renewed.config)
  await trustEachOther(a, expired)
  await Promise.all([
    cpns('peer', 'trust', renewed.manifest, '--config', a.config),
    cpns('peer', 'trust', a.manifest, '--config', stranger.config),
  ])
  const server = await stage.start(a)
  const owner = await stage.session(server, 'owner')
  await establish(owner, shared, [], [stranger, expired, renewed])
  await establish(owner, secret, [])
  Object.assign(context, { server, owner, stranger, expired, renewed })
})
test.after(async ({ stage }) => {
  await stage[Symbol.asyncDispose]()
})

/** A manifest as the operator might have signed it two days ago, for one day. */
async function expiredManifest({ manifest, folder }: ServerFolder): Promise<string> {
  const previous = parseManifest(await readFile(manifest, 'utf8'))
  const rootKey = await readRootKey(join(folder, 'keys/root.key'))
  const issued = Date.now() - 2 * dayMs
  return formatManifest(nextManifest(previous, { expires: issued + dayMs }, [rootKey], nodeCrypto(), issued))
}

/** The log says so, and the link was never up. */
async function assertRefused({ process }: Server, peer: ServerFolder, reason: string): Promise<void> {
  const about = ({ event, fields }: LogLine, name: string) => event === name && fields?.peer === peer.serverId
  await process.seen(`${reason} is given`, line => about(line, 'peer.refused') && line.fields?.reason === reason)
  assert.not.ok(process.log.some(line => about(line, 'link.up')))
}

/** Ids of the documents of an operator that a server holds which has stopped. */
async function heldBy({ folder }: ServerFolder, operator: string): Promise<string[]> {
  const store = await openLevelLogStore(join(folder, 'data'))
  try {
    const held = await Array.fromAsync(store.scan({ from: '', to: '\uffff' }), ({ document }) => document as string)
    return held.filter(document => document.includes(`/${operator}/`))
  } finally {
    await store.close()
  }
}

test('a stranger', async ({ stage, server, stranger }) => {
  const { process } = await stage.start(stranger)
  await assertRefused(server, stranger, 'unknown-server')
  await process.stop('SIGKILL')
  assert.equal(await heldBy(stranger, home), [])
})

test('an operator whose manifest has expired', async ({ stage, server, expired }) => {
  const { process } = await stage.start(expired)
  await assertRefused(server, expired, 'manifest-expired')
  await process.stop('SIGKILL')
  assert.equal(await heldBy(expired, home), [])
})

test('an older manifest, replayed', async ({ stage, server, renewed, oldManifest }) => {
  const rogue = await roguePeer(renewed, server.home, oldManifest)
  stage.atEnd(rogue.stop)
  assert.equal(rogue.greeted, { ok: false, by: 'peer', reason: 'manifest-rollback' })
  await assertRefused(server, renewed, 'manifest-rollback')
  await server.process.seen(
    'the manifest itself to be refused',
    ({ event, fields }) => event === 'manifest.refused' && fields?.operator === renewed.operator && fields.seq === 1,
  )
  assert.is(await rogue.request({ method: 'pn.inventory', params: shared }), undefined)
  assert.equal(rogue.heard, [])
  await rogue.stop()
})

test('forwarded commands without the proof of whoever is entitled', async ({ stage, server, owner, renewed }) => {
  const rogue = await roguePeer(renewed, server.home, await readFile(renewed.manifest, 'utf8'))
  stage.atEnd(rogue.stop)
  assert.ok(rogue.greeted.ok, 'as a server of its operator it is welcome')
  await server.process.seen('the link', ({ event, fields }) => event === 'link.up' && fields?.peer === renewed.serverId)
  const before = await Promise.all([stateOf(owner, shared), stateOf(owner, secret)])

  const grant = { operator: renewed.operator, fingerprint: renewed.fingerprint, expires: Date.now() + dayMs }
  const commands = [
    { method: 'pn.inventory', params: secret },
    { method: 'pn.update', params: { ...newCommand(), ...secret, operation: 'add', pnes: [intruderOf(renewed)] } },
    { method: 'pn.grant', params: { ...newCommand(), ...secret, ...grant, rights: ['admit'] } },
    { method: 'pn.grant', params: { ...newCommand(), ...shared, ...grant, rights: ['admit', 'gateway', 'register'] } },
    { method: 'pn.release', params: { ...newCommand(), ...shared } },
  ] as const
  for (const command of commands) {
    assert.is(statusOf(await rogue.request(command)), 403, command.method)
    await server.process.seen(`${command.method} to be refused`, ({ event, fields }) => {
      const { method, peer, operator, status, proof } = fields ?? {}
      const isOurs = method === command.method && peer === renewed.serverId && operator === renewed.operator
      return event === 'command.refused' && isOurs && status === 403 && proof === false
    })
  }

  const release = { method: 'pn.release', params: { ...newCommand(), ...shared } }
  assert.is(statusOf(await rogue.request({ ...release, proof: forgedProof(release.method, release.params) })), 401)
  await server.process.seen(
    'the forged proof to be refused',
    ({ event, fields }) => event === 'command.refused' && fields?.reason === 'PROOF_REFUSED' && fields.proof === true,
  )

  assert.equal(await Promise.all([stateOf(owner, shared), stateOf(owner, secret)]), before)
  // It hears of what is shared with it, so it would have heard of the other one as well.
  for (const network of [secret, shared]) {
    await owner.call(pnUpdate, {
      ...newCommand(),
      ...network,
      operation: 'add',
      pnes: [{ operator: home, pneId: 'lamp' }],
    })
  }
  const documentsHeard = () => rogue.heard.flatMap(message => (message.type === 'entries' ? message.document : []))
  await until(() => documentsHeard().includes(documentOf(shared)), { what: 'entries of the shared one' })
  assert.not.match(JSON.stringify(rogue.heard), documentOf(secret))
})

const intruderOf = ({ operator }: ServerFolder) => ({ operator, pneId: 'intruder' })

const statusOf = (answer: CommandAnswer | undefined) => (answer?.ok === false ? answer.status : answer)

/** The owner's name, and somebody else's key. */
const forgedProof = (method: string, params: { readonly commandId: string; readonly [name: string]: string }) =>
  signProof(
    {
      operator: home,
      identity: 'owner',
      executor: home,
      document: documentOf(shared),
      commandId: params.commandId,
      expires: Date.now() + 60_000,
    },
    method,
    params,
    { kind: 'psk', secret: keyOf(home, 'somebody else') },
    nodeCrypto(),
  )

async function stateOf(owner: Session, network: NetworkName) {
  const { digest } = await owner.call(documentOpen, { document: documentOf(network) })
  return { digest, inventory: await owner.call(pnInventory, network) }
}

test('and each reason is counted', async ({ server }) => {
  assert.is(await server.process.stop(), 0)
  const counted = await countedBy(server)
  for (const name of [
    'cpns_peer_refused_total{reason="unknown-server"}',
    'cpns_peer_refused_total{reason="manifest-expired"}',
    'cpns_peer_refused_total{reason="manifest-rollback"}',
    'cpns_manifests_refused_total{reason="rollback"}',
  ]) {
    assert.ok(Number(counted[name]) >= 1, name)
  }
  assert.is(counted['cpns_commands_refused_total{reason="403"}'], 5)
  assert.is(counted['cpns_commands_refused_total{reason="401"}'], 1)
})

/** What a server that has stopped has counted. */
async function countedBy({ process }: Server): Promise<NonNullable<LogLine['fields']>> {
  const { fields = {} } = await process.seen('its counters', ({ event }) => event === 'node.counted')
  return fields
}

test('a server that is revoked while it is connected', async () => {
  await using stage = await openStage()
  const [a1, a2, b] = await stage.federation('a.example', 'a.example', 'b.example')
  const owner = await stage.session(a1, 'owner')
  await establish(owner, shared, ['b.example/reader'], [b.home])
  const atA2 = await stage.session(a2, 'owner')
  const reader = await stage.session(b, 'reader')
  await Promise.all([arrived(atA2, shared), arrived(reader, shared)])

  const past = new Set(a2.process.log)
  // The running server takes it up from its folder, and passes it on.
  await cpns('manifest', 'sign', '--revoke', a2.home.serverId, '--config', a1.home.config)
  const isRefusal = (line: LogLine) => isAbout(line, 'peer.refused', a2) && line.fields?.reason === 'revoked'
  const refused = await b.process.seen('the refusal', isRefusal)
  const ended = await a2.process.seen('the end of the link', line => !past.has(line) && isAbout(line, 'link.down', b))
  const apartMs = Math.abs(Date.parse(ended.time) - Date.parse(refused.time))
  console.log(`  the revoked server lost its link ${apartMs} ms from the refusal`)
  assert.not.match(String(ended.fields?.reason), 'silent', 'it is cut off, and has not just heard nothing any more')
  for (const { process } of [a1, b]) {
    await until(() => process.log.filter(isRefusal).length >= 2, {
      what: 'it comes back, and is refused',
    })
    const after = process.log.slice(process.log.findIndex(isRefusal))
    assert.not.ok(after.some(line => isAbout(line, 'link.up', a2)))
  }

  const pnes = [{ operator: home, pneId: 'lamp' }]
  await owner.call(pnUpdate, { ...newCommand(), ...shared, operation: 'add', pnes })
  const hasLamp = async (session: Session) =>
    (await session.call(pnInventory, shared)).members.some(({ pneId }) => pneId === 'lamp')
  await until(() => hasLamp(reader), { what: 'what is new arrives at the other operator' })
  assert.not(await hasLamp(atA2))

  assert.is(await b.process.stop(), 0)
  assert.ok(Number((await countedBy(b))['cpns_peer_refused_total{reason="revoked"}']) >= 2)
})

test.run()
