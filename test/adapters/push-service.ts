import { createDecipheriv, createECDH, createPublicKey, hkdfSync, randomBytes, verify } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { PushSubscription } from '../../src/ports/push.ts'

/*
 * A push service on a real port, with devices that read what they are sent: it checks who sends (RFC 8292) and opens
 * messages (RFC 8291, RFC 8188) by its own means, none of which is the server's.
 */

export interface PushedMessage {
  readonly payload: Uint8Array
  readonly ttlMs: number
  readonly urgency: string
  readonly topic?: string
  /** Of the sender's token. */
  readonly claims: { readonly aud: string; readonly exp: number; readonly sub: string }
  readonly at: number
}

type Behaviour = (request: IncomingMessage, response: ServerResponse) => unknown

export interface PushDevice {
  readonly subscription: PushSubscription
  readonly received: PushedMessage[]
  /** Takes the place of taking the message. */
  behave: Behaviour | undefined
}

export interface PushService {
  readonly origin: string
  /** Paths that anything was sent to, in order. */
  readonly asked: string[]
  /** A device that hears from the sender with this key; from anybody, if it is left out. */
  subscribe(senderKey?: Uint8Array): PushDevice
  stop(): Promise<void>
}

export async function pushService(tls?: ServerOptions): Promise<PushService> {
  const devices = new Map<string, { device: PushDevice; open: (body: Buffer) => Uint8Array; senderKey?: Uint8Array }>()

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? ''
    service.asked.push(path)
    const found = devices.get(path)
    if (request.method !== 'POST' || !found) {
      response.writeHead(404).end()
      return
    }
    const body = Buffer.concat(await request.toArray())
    if (found.device.behave) {
      found.device.behave(request, response)
      return
    }
    const claims = claimsOf(request.headers.authorization ?? '', service.origin, found.senderKey)
    const { 'content-encoding': encoding, ttl, urgency, topic } = request.headers
    if (!claims || encoding !== 'aes128gcm' || ttl === undefined) {
      response.writeHead(claims ? 400 : 403).end()
      return
    }
    found.device.received.push({
      payload: found.open(body),
      ttlMs: Number(ttl) * 1_000,
      urgency: String(urgency),
      ...(topic !== undefined && { topic: String(topic) }),
      claims,
      at: performance.now(),
    })
    response.writeHead(201, { location: `${service.origin}/message/1` }).end()
  }

  const server: Server = tls ? createTlsServer(tls, take) : createServer(take)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const service: PushService = {
    origin: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    asked: [],
    subscribe(senderKey) {
      const path = `/${randomBytes(12).toString('hex')}`
      const pair = createECDH('prime256v1')
      const [p256dh, auth] = [pair.generateKeys(), randomBytes(16)]
      const device: PushDevice = {
        subscription: {
          endpoint: `${service.origin}${path}`,
          p256dh: new Uint8Array(p256dh),
          auth: new Uint8Array(auth),
        },
        received: [],
        behave: undefined,
      }
      const open = (body: Buffer) => opened(body, point => pair.computeSecret(point), p256dh, auth)
      devices.set(path, { device, open, ...(senderKey && { senderKey }) })
      return device
    },
    async stop() {
      const stopped = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await stopped
    },
  }
  return service
}

/** RFC 8291, 3.4: the header of RFC 8188 names the sender's ephemeral key; one record follows. */
function opened(body: Buffer, shared: (point: Buffer) => Buffer, receiver: Buffer, auth: Buffer): Uint8Array {
  const salt = body.subarray(0, 16)
  const sender = body.subarray(21, 21 + body.readUInt8(20))
  const record = body.subarray(21 + sender.length)
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), receiver, sender])
  const derived = (secret: Buffer, salted: Buffer, label: Buffer, lengthBytes: number) =>
    Buffer.from(hkdfSync('sha256', secret, salted, label, lengthBytes))
  const secret = derived(shared(sender), auth, info, 32)
  const key = derived(secret, salt, Buffer.from('Content-Encoding: aes128gcm\0'), 16)
  const nonce = derived(secret, salt, Buffer.from('Content-Encoding: nonce\0'), 12)
  const decipher = createDecipheriv('aes-128-gcm', key, nonce)
  decipher.setAuthTag(record.subarray(-16))
  const padded = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()])
  const end = padded.lastIndexOf(2)
  if (padded.subarray(end + 1).some(byte => byte !== 0)) throw new Error('The record has no delimiter.')
  return new Uint8Array(padded.subarray(0, end))
}

/** RFC 8292: what the sender's token claims; `undefined` when it is not this sender's, or not for this push service. */
function claimsOf(authorization: string, origin: string, senderKey?: Uint8Array): PushedMessage['claims'] | undefined {
  const [, token, key] = /^vapid t=([^,]+), ?k=([A-Za-z0-9_-]{87})$/.exec(authorization) ?? []
  if (token === undefined || key === undefined) return undefined
  const [head = '', body = '', signature = ''] = token.split('.')
  const point = Buffer.from(key, 'base64url')
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map(part => part.toString('base64url'))
  const publicKey = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x: x ?? '', y: y ?? '' }, format: 'jwk' })
  const isSigned = verify(
    'sha256',
    Buffer.from(`${head}.${body}`),
    { key: publicKey, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  )
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString())
  const isExpected = senderKey === undefined || point.equals(senderKey)
  const isCurrent = claims.exp > Date.now() / 1_000 && claims.exp <= Date.now() / 1_000 + 86_400
  return isSigned && isExpected && isCurrent && claims.aud === origin ? claims : undefined
}
