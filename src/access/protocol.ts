import { z } from 'zod'
import { asDocumentId } from '../document/names.ts'
import type { MethodSpec, NotificationSpec } from '../federation/command.ts'
import type { DocumentId } from '../ports/names.ts'
import { policyVersion } from './policy/served-policy.ts'

/*
 * What clients and servers agree on: where to connect, how to close, and the methods that belong to the connection itself.
 * Text frames are JSON-RPC 2.0 (`json-rpc.ts`), binary frames y-protocol messages (`frames.ts`).
 */

/** Where clients attach, with the subprotocol below. */
export const clientPath = '/v1/client'
export const subprotocol = 'cpns.v1'

/**
 * Where a stock y-websocket client reads a document: server URL `wss://…/v1/documents`, the document's id as room, and
 * a ticket of `session.ticket` as parameter `ticket`.
 */
export const documentsPath = '/v1/documents/'

/** `/v1/archive/<operator>/<user>?format=mbox`, or zip: a mailbox as an archive, over HTTP, with a ticket for its document. */
export const archivesPath = '/v1/archive/'

/**
 * Why a server closes a connection: 4000 + the reason code of MQTT 5, which operators know. `retry` says whether a
 * client may come back by itself, after a back-off with full jitter; after the others it would only be refused again.
 */
export const closings = {
  normal: { code: 1000, retry: false },
  /** Frames that the protocol does not have. */
  protocolError: { code: 4130, retry: false },
  /** A fault of the server. */
  internal: { code: 4131, retry: true },
  /** Authentication failed, or was not done in time. */
  notAuthorised: { code: 4135, retry: false },
  busy: { code: 4137, retry: true },
  shuttingDown: { code: 4139, retry: true },
  /** The client has said how often it would be heard, and was not. */
  silent: { code: 4141, retry: true },
  tooLarge: { code: 4149, retry: false },
  /** The answer before says which server has room now (`useAnother`), or takes this client from now on (`moved`). */
  useAnother: { code: 4156, retry: true },
  moved: { code: 4157, retry: true },
  /** Too many attempts of one address, or sessions of one subscriber. */
  connectionRate: { code: 4159, retry: true },
  messageRate: { code: 4150, retry: true },
  /** The client does not take what it is sent. */
  slowReader: { code: 4151, retry: true },
  /**
   * Only on the documents' path: the document was rebuilt in a way over which nobody can be taken, as a compaction takes readers over that are
   * complete, for a while. A y-websocket client reconnects by itself and reads right from then on, since the registers of the new logs
   * are there too. But its Y.Doc still holds what was erased, and one that was away when something was removed may show it again:
   * whoever shows documents for long starts with a fresh `Y.Doc` when it sees this code, and after having been away.
   */
  documentRebuilt: { code: 4152, retry: true },
  /**
   * Only on the documents' path: the ticket has expired or the right to read was withdrawn. Not of the MQTT series:
   * 4400 to 4499 is what y-websocket clients take for final.
   */
  documentWithdrawn: { code: 4403, retry: false },
} as const satisfies Readonly<Record<string, { readonly code: number; readonly retry: boolean }>>

export type Closing = keyof typeof closings

/** Whether a client that was closed with `code` may come back by itself; codes of others (a proxy, the network) say yes. */
export function mayReconnect(code: number): boolean {
  const closing = Object.values(closings).find(known => known.code === code)
  return closing?.retry ?? true
}

const bytes32 = z
  .string()
  .regex(/^[A-Za-z0-9_-]{43}$/, { error: 'expected 32 bytes in base64url, without padding: 43 characters' })
const macOrSignature = z.string().regex(/^[A-Za-z0-9_-]{43,86}$/, {
  error: 'expected an HMAC-SHA-256 (43 characters) or an Ed25519 signature (86 characters) in base64url',
})
const time = z.int().min(0).max(8.64e15)
const document = z.string().transform((text, context): DocumentId => {
  try {
    return asDocumentId(text)
  } catch {
    context.addIssue({ code: 'custom', message: 'expected the id of a document, such as pn/a.example/home' })
    return z.NEVER
  }
})
const channel = z.int().min(1)

const spec = <P, R>(spec: MethodSpec<P, R>): MethodSpec<P, R> => spec

/** How a client can prove who it is. */
export const mechanism = z.enum(['psk', 'ed25519', 'resume', 'device'])
export type Mechanism = z.infer<typeof mechanism>

export const challengeRequest = z.strictObject({
  /** Fresh for every connection: by it the client knows that the server's signature is not an old one. */
  nonce: bytes32,
  /** The base URL that the client believes it is connected to, without path. */
  url: z.string().max(512),
  /** Of a session before, at any server of the operator: then both sides prove themselves by its key, without signatures. */
  resume: z.string().max(2_048).optional(),
  /** Of the server that has sent the client here. */
  redirect: z.string().max(2_048).optional(),
  /** The client has a certificate of its operator, so that it may be sent to servers of others: see `roaming.certify`. */
  roams: z.boolean().optional(),
})
export const proofRequest = z.strictObject({
  mechanism,
  identity: z.string().min(1).max(128),
  /** See `handshake.ts`. */
  proof: macOrSignature,
  /** Of the mechanism `device`: by the client's own operator, whose server has sent it here with the ticket in `redirect`. */
  certificate: z.string().max(2_048).optional(),
})
export const challengeAnswer = z.strictObject({
  challenge: bytes32,
  operator: z.string(),
  /** The PeerId of the server, which is the key that `signature` verifies with. */
  server: z.string(),
  url: z.string(),
  expires: time,
  /** Ed25519; of a resumed session the MAC under the ticket's key. */
  signature: macOrSignature,
  /** Whether the ticket was taken: the proof is made with its key then, `mechanism` is `resume`. */
  isResumed: z.boolean().optional(),
})
export const sessionAnswer = z.strictObject({
  session: z.string(),
  operator: z.string(),
  identity: z.string(),
  /** Something comes from the server at least this often, `session.alive` if nothing else: silence means a dead connection. */
  aliveEveryMs: z.int().positive(),
  /** With it the client comes back, here or at another server of the operator, for as long as it is good. Guests get none. */
  resume: z.strictObject({ ticket: z.string(), key: bytes32, expires: time }).optional(),
  /** Of the policy for this client, which `policy.get` answers. */
  policy: policyVersion.optional(),
})
export type ChallengeAnswer = z.infer<typeof challengeAnswer>
export type SessionAnswer = z.infer<typeof sessionAnswer>

export const sessionAuthenticate = spec({
  method: 'session.authenticate',
  summary:
    'Authenticates both sides, in two calls: the first gets a challenge that the server signs, the second proves the client’s identity over it. One attempt per connection.',
  params: z.union([challengeRequest, proofRequest]),
  result: z.union([challengeAnswer, sessionAnswer]),
  refusals: [307],
})

export const sessionTicket = spec({
  method: 'session.ticket',
  summary:
    'A ticket with which a y-websocket client reads one document, as often as it likes, at any server of the operator, until it expires.',
  params: z.strictObject({ document }),
  result: z.strictObject({
    ticket: z.string(),
    expires: time,
    /** Server URL for the y-websocket client; the room is the document's id. */
    url: z.string(),
  }),
  refusals: [403, 404],
})

export const documentOpen = spec({
  method: 'document.open',
  summary:
    'Opens a document for reading: y-protocol messages travel in binary frames that begin with the channel. Opened again, it answers the same channel.',
  params: z.strictObject({ document }),
  result: z.strictObject({
    channel,
    epoch: z.int().min(0),
    /** Equal at two servers if and only if they hold the same entries of the document; base64url. */
    digest: z.string(),
  }),
  refusals: [403, 404, 429],
})

export const documentClose = spec({
  method: 'document.close',
  summary: 'Closes a channel. A channel that is not open is no error.',
  params: z.strictObject({ channel }),
  result: z.strictObject({}),
  refusals: [],
})

export const rpcDiscover = spec({
  method: 'rpc.discover',
  summary: 'This description of the service, as an OpenRPC document. Needs no authentication.',
  params: z.strictObject({}),
  result: z.looseObject({ openrpc: z.string() }),
  refusals: [],
})

export const sessionPing = spec({
  method: 'session.ping',
  summary:
    'Says that the client is there. With everyMs it also says that it will be heard that often: the server does not send session.alive meanwhile, and closes when it hears nothing for twice as long.',
  params: z.strictObject({ everyMs: z.int().min(1_000).max(86_400_000).optional() }),
  result: z.strictObject({
    /** As in the answer to `session.authenticate`, from now on. */
    aliveEveryMs: z.int().positive(),
  }),
  refusals: [],
  example: { params: { everyMs: 60_000 }, result: { aliveEveryMs: 70_000 } },
})

export const connectionMethods = [
  sessionAuthenticate,
  sessionPing,
  sessionTicket,
  documentOpen,
  documentClose,
  rpcDiscover,
] as const

export const sessionAlive: NotificationSpec<Record<string, never>> = {
  method: 'session.alive',
  summary: 'The connection stands, though there is nothing to say.',
  params: z.strictObject({}),
}

const channelEnded = { channel, document: z.string() }

/** Where a client is to go, and how it gets in there. */
export const redirection = z.strictObject({
  /** `redirect`: to this server. `direct`: no server has room; the application uses its own server meanwhile. */
  action: z.enum(['redirect', 'direct']),
  server: z.string().optional(),
  urls: z.array(z.string()).optional(),
  /** To be given to that server as `redirect`: good there, once, for a short while. */
  ticket: z.string().optional(),
  /** The client does not come back here: by the operator's policy that server, or another one, is for it. */
  isPermanent: z.boolean().optional(),
})
export type RedirectionShape = z.infer<typeof redirection>

const redirectParams = redirection.extend({ withinMs: z.int().min(0) })

export const sessionRedirect: NotificationSpec<z.infer<typeof redirectParams>> = {
  method: 'session.redirect',
  summary: 'This server is about to go: connect to another one within the time said, at a moment of one’s own.',
  params: redirectParams,
  example: {
    action: 'redirect',
    server: '12D3KooWGatU9DoTwzr4sLDmLcTmFpcr7GfnDQ2PnJh1XWTRYMDY',
    urls: ['wss://c2.a.example'],
    ticket: 'eyJrZXkiOjF9.c2lnbmVk',
    withinMs: 10_000,
  },
}

export const documentEpoch = {
  method: 'document.epoch',
  summary: 'The document was rebuilt and its channel closed: throw away what it brought, and open it again.',
  params: z.strictObject({ ...channelEnded, epoch: z.int().min(0) }),
} as const satisfies NotificationSpec<unknown>

export const documentWithdrawn = {
  method: 'document.withdrawn',
  summary: 'The right to read the document was withdrawn and its channel closed.',
  params: z.strictObject(channelEnded),
} as const satisfies NotificationSpec<unknown>

/** Those that concern the connection itself; what Personal Networks tell is beside their methods. */
export const connectionNotifications = [sessionAlive, sessionRedirect, documentEpoch, documentWithdrawn] as const
