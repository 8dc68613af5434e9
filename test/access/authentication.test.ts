import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { challengeBytes, proofBytes, pskInfo, pskSalt } from '../../src/access/handshake.ts'
import type { ChallengeAnswer, Mechanism } from '../../src/access/protocol.ts'
import { authenticate, type ClientCredential } from '../../src/client/authenticate.ts'
import { RequestRefused, ServerNotTrusted } from '../../src/client/errors.ts'
import { openWire } from '../../src/client/wire.ts'
import { fromBase64url, toBase64url } from '../../src/commands/framing.ts'
import { signedBytes } from '../../src/ports/identity.ts'
import type { Credential, Subscriber } from '../../src/ports/key-source.ts'
import { publicKeyOf, serverId } from '../../src/ports/names.ts'
import { until } from '../fixtures/until.ts'
import {
  clientPorts,
  crypto,
  identityOf,
  operator,
  RawClient,
  type Rig,
  type RigOptions,
  secrets,
  startRig,
} from './rig.ts'

/*
 * Authentication is mutual, bound to nonce, URL and server, made in time and once, and tells a guesser nothing. Each row
 * fails if the part of the transcript that it changes is not covered, or if one of the ways to be wrong is told apart.
 */
const test = suite('authentication')
const rigs: Rig[] = []
const clients: RawClient[] = []

test.after.each(async () => {
  for (const client of clients.splice(0)) client.end()
  for (const rig of rigs.splice(0)) await rig.stop()
})

async function rigged(options?: RigOptions): Promise<Rig> {
  const rig = await startRig(options)
  rigs.push(rig)
  return rig
}

async function raw(url: string): Promise<RawClient> {
  const client = await RawClient.connect(url)
  clients.push(client)
  return client
}

interface Reply {
  readonly id: number
  readonly result?: ChallengeAnswer & { readonly session?: string; readonly identity?: string }
  readonly error?: {
    readonly code: number
    readonly message: string
    readonly data: { status: number; reason: string }
  }
}

let lastId = 0
async function ask(client: RawClient, params: unknown, method = 'session.authenticate'): Promise<Reply> {
  const id = ++lastId
  client.send({ jsonrpc: '2.0', id, method, params })
  return until(() => client.heard.find((message): message is Reply => (message as Reply).id === id), {
    what: 'an answer',
  })
}

const nonceOf = (byte: number) => toBase64url(new Uint8Array(32).fill(byte))

function proofOf(
  challenge: ChallengeAnswer,
  nonce: string,
  identity: string,
  credential: ClientCredential,
  mechanism: Mechanism = credential.kind,
): string {
  const bytes = proofBytes({ ...challenge, nonce }, mechanism, identity)
  if (credential.kind === 'ed25519') {
    return toBase64url(
      crypto.ed25519.sign(credential.privateKey, signedBytes('cpns-authenticate-v1', crypto.sha256(bytes))),
    )
  }
  const key = crypto.hkdfSha256(credential.key, pskSalt(operator.id), pskInfo, 32)
  return toBase64url(crypto.hmacSha256(key, bytes))
}

async function challenged(rig: Rig) {
  const client = await raw(rig.url)
  const nonce = nonceOf(1)
  const { result } = await ask(client, { nonce, url: rig.base })
  assert.ok(result)
  return { client, nonce, challenge: result }
}

for (const name of ['alice', 'bob'] as const) {
  test(`${name} is let in with ${secrets[name].kind}`, async () => {
    const { base, telemetry } = await rigged()
    const { sockets, clock, crypto } = clientPorts()
    const wire = openWire(await sockets.connect(`${base}/v1/client`, ['cpns.v1']), clock)
    const session = await authenticate(wire, base, identityOf(name), crypto, 2_000)
    assert.is(session.identity, name)
    assert.is(session.operator, operator.id)
    assert.is(session.server, operator.servers[0]?.id)
    assert.ok(session.aliveEveryMs < 30_000)
    wire.close()
    assert.is(telemetry.counter('cpns_access_authentications_total', { outcome: 'proved' }), 1)
  })
}

test('the server signs what it says: nonce, challenge, URL, operator, its own id, end', async () => {
  const { client, nonce, challenge } = await challenged(await rigged())
  assert.is(challenge.server, operator.servers[0]?.id)
  const verify = (changed: Partial<ChallengeAnswer>, sentNonce = nonce) =>
    crypto.ed25519.verify(
      publicKeyOf(serverId(challenge.server)),
      signedBytes('cpns-challenge-v1', crypto.sha256(challengeBytes({ ...challenge, nonce: sentNonce, ...changed }))),
      fromBase64url(challenge.signature) ?? new Uint8Array(),
    )
  assert.ok(verify({}))
  assert.not(verify({}, nonceOf(2)))
  assert.not(verify({ url: 'ws://127.0.0.1:1' }))
  assert.not(verify({ operator: 'b.example' }))
  assert.not(verify({ server: operator.servers[1]?.id ?? '' }))
  assert.not(verify({ expires: challenge.expires + 1 }))
  assert.not(verify({ challenge: nonceOf(3) }))
  client.end()
})

test('a client proves nothing to a server that it does not expect, nor to one that passes on another’s challenge', async () => {
  const rig = await rigged()
  const { sockets, clock, crypto } = clientPorts()
  const attempt = async (url: string, identity: ReturnType<typeof identityOf>) => {
    const wire = openWire(await sockets.connect(rig.url, ['cpns.v1']), clock)
    const error = await authenticate(wire, url, identity, crypto, 2_000).catch((error: unknown) => error)
    wire.close()
    return error
  }
  const stranger = { ...identityOf('alice'), servers: operator.servers.slice(1).map(({ id }) => id) }
  assert.instance(await attempt(rig.base, stranger), ServerNotTrusted)

  // Somebody in between, at a URL of its own, who passes on everything.
  const relayed = await rigged({ clientUrls: () => ['ws://between.example'] })
  const wire = openWire(await sockets.connect(relayed.url, ['cpns.v1']), clock)
  const refused = await authenticate(wire, 'ws://evil.example', identityOf('alice'), crypto, 2_000).catch(
    (e: unknown) => e,
  )
  assert.instance(refused, RequestRefused, 'the server does not go by that name')
  assert.match(String(refused), /known as ws:\/\/between\.example/)
  wire.close()
})

test('every wrong proof is refused alike, and ends the connection', async () => {
  const rig = await rigged()
  const wrongs: Record<string, (challenge: ChallengeAnswer, nonce: string) => object> = {
    'a wrong pre-shared key': (challenge, nonce) => ({
      mechanism: 'psk',
      identity: 'alice',
      proof: proofOf(challenge, nonce, 'alice', { kind: 'psk', key: new Uint8Array(32) }),
    }),
    'a wrong private key': (challenge, nonce) => ({
      mechanism: 'ed25519',
      identity: 'bob',
      proof: proofOf(challenge, nonce, 'bob', { kind: 'ed25519', privateKey: new Uint8Array(32) }),
    }),
    'nobody, by psk': (challenge, nonce) => ({
      mechanism: 'psk',
      identity: 'nobody',
      proof: proofOf(challenge, nonce, 'nobody', secrets.alice),
    }),
    'nobody, by ed25519': (challenge, nonce) => ({
      mechanism: 'ed25519',
      identity: 'nobody',
      proof: proofOf(challenge, nonce, 'nobody', secrets.bob),
    }),
    'the other mechanism': (challenge, nonce) => ({
      mechanism: 'psk',
      identity: 'bob',
      proof: proofOf(challenge, nonce, 'bob', secrets.alice),
    }),
    'a proof for somebody else': (challenge, nonce) => ({
      mechanism: 'psk',
      identity: 'alice',
      proof: proofOf(challenge, nonce, 'bob', secrets.alice),
    }),
    'a proof under another mechanism’s name': (challenge, nonce) => ({
      mechanism: 'psk',
      identity: 'alice',
      proof: proofOf(challenge, nonce, 'alice', secrets.alice, 'ed25519'),
    }),
    'a proof over another nonce': challenge => ({
      mechanism: 'psk',
      identity: 'alice',
      proof: proofOf(challenge, nonceOf(9), 'alice', secrets.alice),
    }),
    'a proof for another URL': (challenge, nonce) => ({
      mechanism: 'psk',
      identity: 'alice',
      proof: proofOf({ ...challenge, url: 'ws://other.example' }, nonce, 'alice', secrets.alice),
    }),
    'a proof for another server': (challenge, nonce) => ({
      mechanism: 'psk',
      identity: 'alice',
      proof: proofOf({ ...challenge, server: operator.servers[1]?.id ?? '' }, nonce, 'alice', secrets.alice),
    }),
    'no base64 that means anything': () => ({ mechanism: 'psk', identity: 'alice', proof: `${'_'.repeat(42)}9` }),
  }
  const answers = new Set<string>()
  for (const [what, wrong] of Object.entries(wrongs)) {
    const { client, nonce, challenge } = await challenged(rig)
    const { error } = await ask(client, wrong(challenge, nonce))
    assert.is(error?.data.status, 401, what)
    answers.add(JSON.stringify({ ...error, id: 0 }))
    await until(() => client.closed, { what: `${what}: the connection ends` })
    answers.add(JSON.stringify(client.closed))
    assert.is(client.closed?.code, 4135)
  }
  assert.is(answers.size, 2, 'one answer and one end for all of them')
  assert.is(rig.access.connections(), 0)
})

test('a proof is good on its own connection only, and at its own server only', async () => {
  const [first, second] = [await rigged(), await rigged({ server: 1 })]
  const { nonce, challenge } = await challenged(first)
  const proof = { mechanism: 'psk', identity: 'alice', proof: proofOf(challenge, nonce, 'alice', secrets.alice) }
  for (const rig of [first, second]) {
    const { client } = await challenged(rig)
    assert.is((await ask(client, proof)).error?.data.status, 401)
  }
})

test('there is one attempt, in order', async () => {
  const rig = await rigged()
  const { client, nonce, challenge } = await challenged(rig)
  assert.is((await ask(client, { nonce, url: rig.base })).error?.data.reason, 'OUT_OF_TURN')
  const proof = { mechanism: 'psk', identity: 'alice', proof: proofOf(challenge, nonce, 'alice', secrets.alice) }
  assert.ok((await ask(client, proof)).result?.session)
  assert.is((await ask(client, proof)).error?.data.status, 404, 'once known, there is no such method')

  const early = await raw(rig.url)
  assert.is((await ask(early, proof)).error?.data.reason, 'OUT_OF_TURN')
})

test('parameters that are wrong are refused with the place', async () => {
  const rig = await rigged()
  const client = await raw(rig.url)
  const { error } = await ask(client, { nonce: 'short', url: rig.base })
  assert.is(error?.code, -32602)
  assert.is(error?.data.status, 400)
  assert.match(error?.message ?? '', /nonce/)
})

test('who has not authenticated in time is let go, whatever it sends', async () => {
  const rig = await rigged({ limits: { authenticationDeadlineMs: 80 } })
  const silent = await raw(rig.url)
  const busy = await raw(rig.url)
  busy.send({
    jsonrpc: '2.0',
    id: ++lastId,
    method: 'session.authenticate',
    params: { nonce: nonceOf(1), url: rig.base },
  })
  for (const client of [silent, busy]) {
    const closed = await until(() => client.closed, { what: 'it is let go' })
    assert.is(closed.code, 4135)
  }
})

test('a key source that does not answer is no reason to say 401', async () => {
  const rig = await rigged({
    keys: {
      find: async () => {
        throw new Error('the database is away')
      },
    },
  })
  const { client, nonce, challenge } = await challenged(rig)
  const proof = { mechanism: 'psk', identity: 'alice', proof: proofOf(challenge, nonce, 'alice', secrets.alice) }
  const { error } = await ask(client, proof)
  assert.is(error?.data.status, 503)
  assert.is((await until(() => client.closed, { what: 'it is let go' })).code, 4137)
})

test('before authentication nothing else is answered but rpc.discover, and little of anything', async () => {
  const rig = await rigged()
  const client = await raw(rig.url)
  assert.is((await ask(client, { text: 'x' }, 'test.echo')).error?.data.status, 401)
  assert.is((await ask(client, {}, 'no.such.method')).error?.data.status, 401, 'nor what there is')
  assert.ok((await ask(client, {}, 'rpc.discover')).result)
  for (let frame = 0; frame < 6; frame++) client.send({ jsonrpc: '2.0', id: 1_000 + frame, method: 'x' })
  assert.is((await until(() => client.closed, { what: 'it is let go' })).code, 4135)

  const ends: [unknown, number][] = [
    [Uint8Array.of(1, 0, 0), 4130],
    ['{', 4130],
    ['[]', 4130],
    [[{ jsonrpc: '2.0', id: 1, method: 'rpc.discover' }], 4130],
    [{ jsonrpc: '2.0', method: 'session.authenticate' }, 4130],
    ['x'.repeat(5_000), 4149],
  ]
  for (const [frame, code] of ends) {
    const client = await raw(rig.url)
    client.send(frame)
    assert.is((await until(() => client.closed, { what: 'it is let go' })).code, code, String(frame).slice(0, 50))
  }
  assert.is(rig.access.connections(), 0)
})

test('only so many may be on their way in at once, and they do not keep out who is in', async () => {
  const rig = await rigged({ limits: { maxUnauthenticated: 2 } })
  const { client, nonce, challenge } = await challenged(rig)
  const proof = { mechanism: 'psk', identity: 'alice', proof: proofOf(challenge, nonce, 'alice', secrets.alice) }
  assert.ok((await ask(client, proof)).result?.session)
  await raw(rig.url)
  const last = await raw(rig.url)
  const refused = await RawClient.connect(rig.url).catch((error: unknown) => error)
  assert.match(String(refused), /503/)
  last.end()
  await until(() => rig.access.connections() === 2, { what: 'there is room again' })
  await raw(rig.url)
})

test('a client asks for the subprotocol, at a path that is there', async () => {
  const rig = await rigged()
  for (const [url, protocols, status] of [
    [rig.url, [], /426/],
    [rig.url, ['cpns.v9'], /426/],
    [`${rig.base}/`, ['cpns.v1'], /404/],
    [`${rig.base}/v1/documents/nonsense`, [], /404/],
  ] as const) {
    assert.match(String(await RawClient.connect(url, protocols).catch((error: unknown) => error)), status)
  }
})

test('checks the proofs of many in turns when their keys are found all at once', async () => {
  const crowd = 100
  let turn = 0
  let immediate = setImmediate(function next() {
    turn += 1
    immediate = setImmediate(next)
  })
  const checked = new Map<number, number>()
  const found = Promise.withResolvers<void>()
  let asked = 0
  const subscriber: Subscriber = {
    identity: identityOf('alice').identity,
    get credential(): Credential {
      checked.set(turn, (checked.get(turn) ?? 0) + 1)
      return { kind: 'ed25519', publicKey: new Uint8Array(32) }
    },
  }
  const { url, base } = await rigged({
    listener: { isPaced: true },
    load: { isControlled: false },
    keys: {
      async find() {
        asked += 1
        await found.promise
        return subscriber
      },
    },
  })
  const all = await Promise.all(Array.from({ length: crowd }, () => raw(url)))
  const failed = Promise.all(
    all.map(async client => {
      const { result } = await ask(client, { nonce: nonceOf(1), url: base })
      assert.ok(result)
      return ask(client, { mechanism: 'psk', identity: subscriber.identity, proof: nonceOf(2) })
    }),
  )
  await until(() => asked === crowd, { what: 'all keys are asked for' })
  found.resolve()
  assert.ok((await failed).every(({ error }) => error?.code === 401))
  clearImmediate(immediate)
  const most = Math.max(...checked.values())
  assert.ok(most <= 40, `${most} of ${crowd} were checked in one turn`)
})

test.run()
