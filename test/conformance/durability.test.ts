/*
 * Property: what a server has acknowledged stays. Killed twenty times in the middle of many commands, a real server shows
 * after each restart every step that it had acknowledged, as it was acknowledged; and a trace of its system calls shows
 * that for each acknowledgement the batch that stores what it promises had been flushed before the answer was begun to be
 * written. The first would fail if an answer could overtake its write; the second if it could overtake the disk, which
 * killing a process does not show, since the kernel keeps what it was given.
 *
 * Without strace the second is skipped and says so; with STRACE_REQUIRED=1 it fails.
 */
import { encodeAny } from 'lib0/buffer'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  AnswerLost,
  gatewayAttach,
  type Inventory,
  NotConnected,
  nodePorts,
  operatorId,
  pnEstablish,
  pneChallenge,
  pneConfirm,
  pneRegister,
  pnInventory,
  pnUpdate,
  type Session,
} from '../../src/client/node.ts'
import { sealRegistration } from '../../src/inventory/registration/seal.ts'
import { confirmProof } from '../../src/inventory/registration/session-proof.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { until } from '../fixtures/until.ts'
import { type Acknowledgement, broken } from './acknowledgements.ts'
import { keyOf, newCommand, openStage, type Server, type Stage } from './stage.ts'
import { readSystemCalls, straceIsThere, straceTo } from './system-calls.ts'

const home = operatorId('a.example')
const gatewayId = 'gateway'
const { crypto } = nodePorts()

/** What was acknowledged of one Personal Network and its one PNE, step by step. */
interface Promised {
  readonly pnId: string
  readonly pneId: string
  established?: true
  attached?: true
  admitted?: true
  answered?: { readonly cpnsId: string; readonly at: number }
  confirmed?: { readonly cpnsId: string; readonly expires: number }
}

/** Establishes a PN, attaches to it, and registers a PNE in it, noting each acknowledgement as soon as it has come. */
async function fill(session: Session, promised: Promised): Promise<void> {
  const { pnId, pneId } = promised
  const network = { home, pnId }
  const way = { ...network, gatewayId, operator: home }
  await session.call(pnEstablish, { ...newCommand(), alias: pnId, pnId })
  promised.established = true
  await session.call(gatewayAttach, { ...newCommand(), ...network, gatewayId })
  promised.attached = true
  const pnes = [{ operator: home, pneId }]
  await session.call(pnUpdate, { ...newCommand(), ...network, operation: 'add', pnes })
  promised.admitted = true

  const transaction = newCommand().commandId
  const challenge = await session.call(pneChallenge, way)
  const credential = { kind: 'psk', key: keyOf(home, pneId) } as const
  const content = { mode: 'PNE', capabilities: {} } as const
  const request = await sealRegistration(crypto, { way, pneId, transaction, challenge, credential, content })
  const answer = await session.call(pneRegister, request.params)
  const { cpnsId, sessionKey } = await request.openAnswer(answer.sealed)
  promised.answered = { cpnsId, at: Date.now() }
  const proof = await confirmProof(crypto, sessionKey, { ...way, transaction, pneId, cpnsId })
  promised.confirmed = await session.call(pneConfirm, { ...way, transaction, pneId, proof })
}

/** What is missing or different in the inventory, of what was acknowledged. */
function missing(promised: Promised, { gateways, members }: Inventory): string[] {
  const { pneId, attached, admitted, answered, confirmed } = promised
  const member = members.find(each => each.pneId === pneId)
  const isAnswered = member?.state !== 'member' && member?.cpnsId === answered?.cpnsId
  const isConfirmed =
    member?.state === 'active' && member.cpnsId === confirmed?.cpnsId && member.expires === confirmed?.expires
  return [
    attached && !gateways.some(gateway => gateway.gatewayId === gatewayId) ? 'the gateway' : '',
    admitted && !member ? 'the member' : '',
    answered && !isAnswered ? 'the registration' : '',
    confirmed && !isConfirmed ? 'the confirmed registration' : '',
  ].filter(what => what !== '')
}

/** Everything that was acknowledged is shown. */
async function assertKept(session: Session, all: readonly Promised[]): Promise<void> {
  for (const promised of all.filter(({ established }) => established)) {
    const { pnId, confirmed, answered } = promised
    // What was never confirmed ends in time: it is looked at as it was.
    const at = confirmed || !answered ? Date.now() : answered.at
    const inventory = await session.call(pnInventory, { home, pnId, at })
    assert.equal(missing(promised, inventory), [], JSON.stringify({ promised, inventory }))
  }
}

/** Many sessions fill PNs, over and over, until the server is gone. Answers what was begun, acknowledged or not. */
async function load(stage: Stage, server: Server, round: number, begun: Promised[]): Promise<void> {
  const sessions = await Promise.all(
    Array.from({ length: 4 }, () => stage.session(server, 'owner', { reconnect: false })),
  )
  const workers = Array.from({ length: 16 }, async (_, worker) => {
    const session = sessions[worker % sessions.length] as Session
    try {
      for (let count = 0; ; count++) {
        const promised: Promised = { pnId: `home-${round}-${worker}-${count}`, pneId: `pne-${worker}` }
        begun.push(promised)
        await fill(session, promised)
      }
    } catch (error) {
      if (!(error instanceof AnswerLost || error instanceof NotConnected)) throw error
    } finally {
      session.close()
    }
  })
  await Promise.all(workers)
}

const kills = 20

test(`what was acknowledged survives ${kills} kills under load`, async () => {
  await using stage = await openStage()
  const random = seededRandom('kill -9')
  const folder = await stage.folder('a', home)
  await Promise.all(Array.from({ length: 16 }, (_, worker) => stage.subscribed(folder, `pne-${worker}`)))
  const all: Promised[] = []
  let before: Promised[] = []
  let inDoubt = 0

  for (let round = 0; round <= kills; round++) {
    const server = await stage.start(folder)
    const session = await stage.session(server, 'owner', { reconnect: false })
    await assertKept(session, round < kills ? before : all)
    assert.equal(
      server.process.log.filter(({ level }) => level === 'error'),
      [],
    )
    session.close()
    if (round === kills) break

    const begun: Promised[] = []
    const enough = 1 + Math.floor(random.fraction() * 40)
    const strike = async () => {
      const isEnough = () => begun.filter(({ confirmed }) => confirmed).length >= enough
      await until(isEnough, { what: `${enough} are registered`, everyMs: 1 })
      await server.process.stop('SIGKILL')
    }
    await Promise.all([load(stage, server, round, begun), strike()])
    before = begun
    all.push(...begun)
    inDoubt += begun.filter(({ confirmed }) => !confirmed).length
  }
  const confirmed = all.filter(promised => promised.confirmed).length
  console.log(`  ${confirmed} acknowledged registrations kept over ${kills} kills, ${inDoubt} broken off`)
  assert.ok(inDoubt >= kills, 'each kill struck in the middle of something')
})

test('fdatasync has returned before an acknowledgement is written to a socket', async () => {
  if (!straceIsThere()) {
    assert.is.not(process.env.STRACE_REQUIRED, '1', 'strace is required and not installed')
    console.log('  SKIPPED: strace is not installed, so nothing was shown about fdatasync')
    return
  }
  await using stage = await openStage()
  const folder = await stage.folder('a', home)
  const trace = stage.path('trace')
  const server = await stage.start(folder, straceTo(trace))
  const pnes = Array.from({ length: 8 }, (_, index) => `pne-${index}`)
  for (const pne of pnes) await stage.subscribed(folder, pne)
  const sessions = await Promise.all(pnes.map(() => stage.session(server, 'owner')))
  const all: Promised[] = []
  const rounds = 4
  await Promise.all(
    sessions.map(async (session, index) => {
      for (let round = 0; round < rounds; round++) {
        const promised: Promised = { pnId: `home-${index}-${round}`, pneId: `pne-${index}` }
        all.push(promised)
        await fill(session, promised)
      }
    }),
  )
  await server.process.stop('SIGTERM')

  const acknowledged = all.flatMap(acknowledgementsOf)
  assert.is(acknowledged.length, 2 * pnes.length * rounds)
  assert.equal(broken(acknowledged, readSystemCalls(trace)).slice(0, 5), [])
})

/** What the answers said, and what the entries hold of it: the id of the PN's document; CPNS ID and expiry as Yjs encodes them. */
function acknowledgementsOf({ pnId, confirmed }: Promised): Acknowledgement[] {
  if (!confirmed) throw new Error(`${pnId} was not filled.`)
  const { cpnsId, expires } = confirmed
  return [
    {
      what: `pn.establish of ${pnId}`,
      said: ['"result":', `"pnId":"${pnId}"`, '"version":'],
      stored: [Buffer.from(`pn/${home}/${pnId}`)],
    },
    {
      what: `pne.confirm in ${pnId}`,
      said: ['"result":', `"cpnsId":"${cpnsId}"`, `"expires":${expires}`],
      stored: [Buffer.from(encodeAny(cpnsId)), Buffer.from(encodeAny(expires))],
    },
  ]
}

test.run()
