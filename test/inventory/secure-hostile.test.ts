import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fromBase64url, toBase64url } from '../../src/commands/framing.ts'
import type { Inventory } from '../../src/inventory/methods.ts'
import type { SecureOpenParams, SecureOpenResult, SecureSendParams } from '../../src/inventory/secure/methods.ts'
import { DecryptionFailed } from '../../src/ports/crypto.ts'
import { established, openingOf, openSession, type SecurePne } from './secure-pne.ts'
import {
  a,
  b,
  type Gateway,
  grant,
  homeNetwork,
  keyOf,
  newId,
  Pne,
  refusalOf,
  subscribe,
  type World,
  world,
} from './world.ts'

/*
 * A gateway that does what it likes with what it carries: it changes, repeats, holds back, reorders, and moves frames between
 * sessions. It fails if anything that the gateway made up is executed, if a frame is executed twice, if a PNE takes what is
 * no answer to what it asked, or if a secret or what is said shows in anything that is carried or kept.
 */
const test = suite('secure sessions and a hostile gateway')

const flat = { home: a, pnId: 'flat' }
const numRuns = 150

interface Scene {
  readonly w: World
  readonly hub: Gateway
  readonly pnes: readonly Pne[]
}

async function scene(): Promise<Scene> {
  const w = await world({ [a]: 1 })
  const hub = await homeNetwork(w)
  const pnes: Pne[] = []
  for (const pneId of ['lamp', 'fan']) {
    subscribe(w, a, pneId)
    const pne = new Pne(a, pneId)
    await hub.update('add', [pne.name])
    await pne.register(hub)
    await pne.confirm(hub)
    pnes.push(pne)
  }
  return { w, hub, pnes }
}

/** The parameters of what was executed, from now on. */
function executed(w: World): string[] {
  const command = w.at(a).inventory.commands.find(({ spec }) => spec.method === 'pn.inventory')
  assert.ok(command)
  const { execute } = command
  const names: string[] = []
  Object.assign(command, {
    execute: (...input: Parameters<typeof execute>) => {
      names.push(JSON.stringify(input[0]))
      return execute(...input)
    },
  })
  return names
}

/** Another value for one of a frame's fields. */
const change = (
  frame: SecureSendParams,
  others: readonly SecureSendParams[],
): fc.Arbitrary<Partial<SecureSendParams>> => {
  const bytes = fromBase64url(frame.sealed) as Uint8Array
  const ofOthers = fc.constantFrom(...others)
  return fc.oneof(
    fc
      .tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }))
      .map(([at, bits]) => ({ sealed: toBase64url(bytes.map((byte, index) => (index === at ? byte ^ bits : byte))) })),
    fc.nat(bytes.length - 1).map(length => ({ sealed: toBase64url(bytes.slice(0, length)) })),
    fc
      .uint8Array({ minLength: 1, maxLength: 64 })
      .map(more => ({ sealed: toBase64url(Uint8Array.of(...bytes, ...more)) })),
    fc.uint8Array({ maxLength: 200 }).map(made => ({ sealed: toBase64url(made) })),
    fc.nat(1_000).map(counter => ({ counter })),
    fc.integer({ min: 0, max: 3 }).map(phase => ({ phase })),
    ofOthers.map(({ sealed }) => ({ sealed })),
    ofOthers.map(({ session }) => ({ session })),
    ofOthers.map(({ session, counter }) => ({ session, counter })),
    ofOthers.map(({ counter }) => ({ counter })),
  )
}

const isSame = (a: object, b: object) => JSON.stringify(a) === JSON.stringify(b)

test('no change of a frame is executed, and none spoils the frame', async () => {
  const { w, hub, pnes } = await scene()
  const [lamp, fan] = pnes
  assert.ok(lamp && fan)
  const [one, other, third] = [await openSession(lamp, hub), await openSession(lamp, hub), await openSession(fan, hub)]
  const names = executed(w)
  const others: SecureSendParams[] = []
  for (const session of [one, other, third]) {
    const frame = await session.seal('pn.inventory', flat)
    others.push(frame)
    await session.send(frame)
  }
  await fc.assert(
    fc.asyncProperty(fc.context(), fc.gen(), async (_context, gen) => {
      const frame = await one.seal('pn.inventory', flat)
      const before = names.length
      const changed = { ...frame, ...gen(change, frame, others) }
      fc.pre(!isSame(changed, frame) && !others.some(known => isSame(known, changed)))
      const refusal = await refusalOf(one.send(changed))
      assert.ok(
        ['401 FRAME_REFUSED', '409 FRAME_REPLAYED', '404 SESSION_UNKNOWN'].includes(refusal),
        `${refusal} for ${JSON.stringify(changed)}`,
      )
      assert.is(names.length, before, 'executed')
      assert.ok('result' in (await one.open(frame, await one.send(frame))))
      assert.is(names.length, before + 1)
    }),
    { numRuns, endOnFailure: true },
  )
  await w.stop()
})

test('in whatever order and however often frames come, each is executed once at the most, and gets one answer', async () => {
  const { w, hub, pnes } = await scene()
  const names = executed(w)
  const schedule = fc.array(fc.nat(11), { minLength: 1, maxLength: 60 })
  const rekeyAfter = fc.nat(5)
  await fc.assert(
    fc.asyncProperty(schedule, rekeyAfter, fc.boolean(), async (order, rekeyed, together) => {
      names.length = 0
      w.clock.advance(10_000) // so that nobody has asked too often
      const sessions: SecurePne[] = []
      for (const pne of pnes) sessions.push(await openSession(pne, hub))
      const frames: { readonly session: SecurePne; readonly frame: SecureSendParams; readonly marker: string }[] = []
      for (const [of, session] of sessions.entries()) {
        for (let number = 0; number < 6; number++) {
          // What is sealed under other keys still opens its answer under the keys that it had.
          const copy = Object.assign(Object.create(Object.getPrototypeOf(session)), session)
          const marker = `pn-${of}-${number}`
          frames.push({ session: copy, frame: await copy.seal('pn.inventory', { home: a, pnId: marker }), marker })
          session.counter = copy.counter
          if (number === rekeyed) await session.rekey()
        }
      }
      const answers = new Map<number, string>()
      const relay = async (index: number) => {
        const found = frames[index]
        assert.ok(found)
        const { session, frame, marker } = found
        const answer = await session.send(frame).catch((error: { reason: string }) => error.reason)
        if (typeof answer === 'string') {
          // A frame of the first phase may come when its keys are gone, one of the next not before them.
          assert.ok(['FRAME_REFUSED', 'FRAME_REPLAYED'].includes(answer), answer)
          return
        }
        assert.is(answers.get(index) ?? answer.sealed, answer.sealed, 'another answer')
        answers.set(index, answer.sealed)
        const outcome = await session.open(frame, answer)
        assert.ok('error' in outcome && outcome.error.message.includes(marker))
        for (const { frame: another, session: its } of frames) {
          if (another === frame) continue
          const taken = await its.open(another, answer).catch(error => error)
          assert.instance(taken, DecryptionFailed, 'an answer to one request passes for another’s')
          break
        }
      }
      if (together) await Promise.all(order.map(relay))
      else for (const index of order) await relay(index)
      assert.is(new Set(names).size, names.length, `executed twice: ${names}`)
      assert.is(names.length, answers.size)
    }),
    { numRuns: 40, endOnFailure: true },
  )
  await w.stop()
})

test('no change of an answer is taken, nor an answer to another request', async () => {
  const { w, hub, pnes } = await scene()
  const [lamp, fan] = pnes
  assert.ok(lamp && fan)
  const [one, other] = [await openSession(lamp, hub), await openSession(fan, hub)]
  const frame = await one.seal('pn.inventory', flat)
  const { sealed } = await one.send(frame)
  const bytes = fromBase64url(sealed) as Uint8Array
  const second = await one.seal('pn.inventory', flat)
  const elsewhere = await other.seal('pn.inventory', flat)
  const moved = [frame.sealed, (await one.send(second)).sealed, (await other.send(elsewhere)).sealed, '', '*']
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, bits) => {
      const changed = toBase64url(bytes.map((byte, index) => (index === at ? byte ^ bits : byte)))
      assert.instance(await one.open(frame, { sealed: changed }).catch(error => error), DecryptionFailed)
    }),
    { numRuns, endOnFailure: true },
  )
  for (const sealed of moved) {
    assert.instance(await one.open(frame, { sealed }).catch(error => error), DecryptionFailed)
  }
  assert.ok('result' in (await one.open(frame, { sealed })))
  await w.stop()
})

test('no change of an opening opens a session that the PNE would use', async () => {
  const { w, hub, pnes } = await scene()
  const [lamp, fan] = pnes
  assert.ok(lamp && fan)
  const other = await openingOf(fan, hub)
  const text = (of: string) =>
    fc
      .tuple(fc.nat(of.length - 1), fc.constantFrom(...'AQgw'))
      .map(([at, letter]) => of.slice(0, at) + letter + of.slice(at + 1))
  const changeOf = (opening: SecureOpenParams) =>
    fc.oneof(
      text(opening.ticket).map(ticket => ({ ticket })),
      text(opening.clientNonce).map(clientNonce => ({ clientNonce })),
      text(opening.proof).map(proof => ({ proof })),
      fc.constantFrom({ ticket: other.ticket }, { clientNonce: other.clientNonce }, { proof: other.proof }),
    )
  await fc.assert(
    fc.asyncProperty(fc.gen(), async gen => {
      w.clock.advance(60_000) // so that failures do not add up, and nobody has asked too often
      const opening = await openingOf(lamp, hub)
      const changed = { ...opening, ...gen(changeOf, opening) }
      fc.pre(!isSame(changed, opening))
      const refusal = await refusalOf(hub.server.call('secure.open', changed, hub.identity))
      assert.ok(['401 TICKET_UNKNOWN', '401 AUTH_FAILED'].includes(refusal), refusal)

      const answer = await hub.server.call<SecureOpenResult>('secure.open', opening, hub.identity)
      const [field, at] = [gen(() => fc.constantFrom('serverNonce', 'proof', 'session', 'expires')), gen(fc.nat)]
      const value =
        field === 'expires' ? answer.expires + 1 : altered(String(answer[field as keyof SecureOpenResult]), at)
      const taken = await established(lamp, hub, opening, { ...answer, [field]: value }).catch(error => error)
      assert.instance(taken, Error, `${field} was changed and taken`)
      await established(lamp, hub, opening, answer)
    }),
    { numRuns: 60, endOnFailure: true },
  )
  await w.stop()
})

/** One letter is another one, where every bit counts. */
function altered(text: string, where: number): string {
  const at = where % (text.length - 1)
  return text.slice(0, at) + (text[at] === 'b' ? 'c' : 'b') + text.slice(at + 1)
}

test('nothing that is said, and no key, is in what is carried, in documents, in logs, or in the clear on disk', async () => {
  const w = await world({ [a]: 1, [b]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, b, 'radio')
  const radio = new Pne(b, 'radio')
  await hub.update('add', [radio.name])
  await grant(w, 'flat', b)
  await w.replicate()
  await radio.register(hub)
  await radio.confirm(hub)
  await w.replicate()
  const session = await openSession(radio, hub)
  const { members } = await session.call<Inventory>('pn.inventory', flat)
  assert.is(members.length, 1)
  const frame = await session.seal('pn.establish', { commandId: newId(), alias: 'nobody knows', pnId: 'secret-name' })
  const outcome = await session.open(frame, await session.send(frame))
  assert.ok('result' in outcome)
  await session.rekey()
  await session.call('pn.inventory', { home: b, pnId: 'secret-name' })
  assert.ok(radio.sessionKey && radio.answer)

  const kept: string[] = []
  for (const { documents, store, telemetry } of w.servers) {
    for await (const { document } of documents.list('')) {
      for await (const { bytes } of store.entries(document)) kept.push(latin1(bytes))
    }
    for (const kind of ['command/', 'registration/']) {
      for await (const { value } of store.localScan(kind)) kept.push(latin1(value))
    }
    kept.push(JSON.stringify(telemetry.logs))
  }
  const carried = [...radio.relayed, ...w.wire].join('\n')
  assert.ok(
    carried.includes('secure.send') && carried.includes(session.opened.session),
    'there is something to look at',
  )
  for (const said of ['pn.establish', 'pn.inventory', 'secret-name', 'nobody knows', 'jsonrpc']) {
    assert.not.ok(radio.relayed.join('\n').includes(said), `${said} was carried`)
  }
  const everything = `${carried}\n${kept.join('\n')}`
  const { up, down, notice } = session.phase
  const keys = {
    'the session key': radio.sessionKey,
    'the pre-shared key': keyOf(b, 'radio'),
    'the MAC key': w.at(b).secrets.macKeys[0]?.key,
    ...Object.fromEntries(
      [up, down, notice].flatMap((of, index) => Object.entries(of).map(([name, key]) => [`${name} ${index}`, key])),
    ),
  }
  for (const [name, bytes] of Object.entries(keys)) {
    assert.ok(bytes)
    for (const form of [latin1(bytes), toBase64url(bytes), Buffer.from(bytes).toString('hex'), `${[...bytes]}`]) {
      assert.not.ok(everything.includes(form), `${name} was found`)
    }
  }
  assert.not.ok(kept.join('\n').includes(radio.answer.ticket), 'nor is the ticket kept')
  await w.stop()
})

const latin1 = (bytes: Uint8Array): string => Array.from(bytes, byte => String.fromCharCode(byte)).join('')

test.run()
