import { webCrypto } from '../adapters/browser/crypto.ts'
import { browserHttp } from '../adapters/browser/http.ts'
import { browserNetworkMeter } from '../adapters/browser/network-meter.ts'
import { browserPolicyStore as localPolicyStore } from '../adapters/browser/policy-store.ts'
import { openBrowserReplicaStore } from '../adapters/browser/replica-store.ts'
import { browserSha256 } from '../adapters/browser/sha256.ts'
import { browserWebsocket } from '../adapters/browser/websocket.ts'
import { systemClock } from '../adapters/clock.ts'
import type { NetworkName } from '../inventory/view.ts'
import type { DocumentId } from '../ports/names.ts'
import type { PolicyStore } from '../ports/policy-store.ts'
import { type AlwaysOn, type AlwaysOnOptions, keepAlwaysOn } from './always-on/always-on.ts'
import { type Channel, type ChannelHome, type ChannelOptions, openChannel as channelOn } from './channels.ts'
import { type ClientDocument, type DocumentListener, openDocument } from './document.ts'
import {
  type GroupKey,
  type GroupName,
  openGroupContent,
  type SealedGroupContent,
  sealGroupContent,
} from './group-content.ts'
import { type InventoryListener, type InventoryReader, readInventory } from './inventory-reader.ts'
import {
  downloadMedia as download,
  type MediaDownloadOptions,
  type MediaPorts,
  type MediaReference,
  type MediaUploadOptions,
  uploadMedia as upload,
} from './media.ts'
import { createMediaCache, type MediaCache, type MediaCacheOptions } from './media-cache.ts'
import {
  openMessageStore as keepMessages,
  type MessageStore,
  type MessageStoreOptions,
  type MessageStorePorts,
} from './message-store/message-store.ts'
import { createPne, type PersonalNetworkElement, type PneOptions } from './pne.ts'
import {
  keepPresent as beatFor,
  type Heartbeat,
  type HeartbeatOptions,
  type PresenceListener,
  type PresenceReader,
  followPresence as readPresence,
} from './presence.ts'
import { type ClientPorts, openSession, type Session, type SessionOptions } from './session.ts'

/*
 * The SDK, for browsers and for everything that has their WebSocket and WebCrypto (Node among them). For gateways, and
 * for certificate authorities of one's own, there is `./node.ts`.
 */

export type { RpcError } from '../access/json-rpc.ts'
export * from '../access/policy/methods.ts'
export type { ClientClass, Conduct, OperatorPolicy, PolicyInput } from '../access/policy/rules.ts'
export type { PolicyVersion, ServedPolicy, SignedPolicy } from '../access/policy/served-policy.ts'
export { closings, documentOpen, documentsPath, sessionTicket } from '../access/protocol.ts'
export * from '../channels/methods.ts'
export type { Json, Register, Registers } from '../document/documents.ts'
export { asDocumentId, documentId } from '../document/names.ts'
export { readRegisters } from '../document/registers-view.ts'
export type { Durability, DurabilityWish, Durable } from '../federation/durability.ts'
export {
  type Capabilities,
  capabilities,
  type Mode,
  mode,
  type Pne,
  pne,
  type Right,
  right,
} from '../inventory/fields.ts'
export { effectiveGroups } from '../inventory/groups/view.ts'
export * from '../inventory/methods.ts'
export type { PneCredential, RegistrationKey } from '../inventory/registration/credential.ts'
export { effectiveInventory, type NetworkDocuments, type NetworkName } from '../inventory/view.ts'
export { ConnectFailed } from '../ports/client-sockets.ts'
export { DecryptionFailed } from '../ports/crypto.ts'
export { type DocumentId, type OperatorId, operatorId, type ServerId, serverId } from '../ports/names.ts'
export type { NetworkMeter } from '../ports/network-meter.ts'
export type { PolicyStore } from '../ports/policy-store.ts'
export { ReplicaFailed, ReplicaInUse, type ReplicaStore } from '../ports/replica-store.ts'
export { UnknownFormat } from '../ports/stored-format.ts'
export type { Content, Direction, Flag, ObjectName, ObjectType, Scope } from '../storage/fields.ts'
export * from '../storage/methods/devices.ts'
export * from '../storage/methods/objects.ts'
export * from '../storage/methods/search.ts'
export * from '../storage/methods/sync.ts'
export * from '../storage/methods/users.ts'
export type { NewObject, StoredObject } from '../storage/objects.ts'
export type { AlwaysOn, AlwaysOnListener, AlwaysOnOptions } from './always-on/always-on.ts'
export type { Home, HomeState } from './always-on/home.ts'
export type { Link } from './always-on/link.ts'
export type { Provisioned } from './always-on/policy-guide.ts'
export { PolicyRefused } from './always-on/policy-trust.ts'
export type { ClientCredential, ClientIdentity } from './authenticate.ts'
export { answerCapabilities, type CapabilitiesOptions } from './capabilities.ts'
export { channelHome } from './channel-home.ts'
export type {
  Channel,
  ChannelAddress,
  ChannelHome,
  ChannelListener,
  ChannelMessage,
  ChannelOptions,
  ChannelState,
} from './channels.ts'
export type { ClientDocument, DocumentListener } from './document.ts'
export { durably } from './durably.ts'
export * from './errors.ts'
export type { GroupKey, GroupName, SealedGroupContent } from './group-content.ts'
export type { InventoryListener, InventoryReader } from './inventory-reader.ts'
export type {
  MediaDownloadOptions,
  MediaPorts,
  MediaReference,
  MediaTransfer,
  MediaUploadOptions,
} from './media.ts'
export type { MediaCache, MediaCacheOptions, WantedMedia } from './media-cache.ts'
export { ChangeImpossible } from './message-store/edits.ts'
export type { ConnectionState, MessageStoreEvent, Refusal } from './message-store/events.ts'
export { AddressUnknown } from './message-store/in-step.ts'
export type { LocalChange } from './message-store/local-changes.ts'
export {
  type MessageStore,
  type MessageStoreOptions,
  type MessageStorePorts,
  ObjectGone,
} from './message-store/message-store.ts'
export type { FollowedLink, FullObject, MailObject } from './message-store/objects.ts'
export { ReplicaMismatch } from './message-store/replica.ts'
export type { Container } from './message-store/shown.ts'
export type { SyncResult } from './message-store/synchronise.ts'
export type { PersonalNetworkElement, PneOptions, PneRegistration } from './pne.ts'
export type { PneLookup, PneLookupFilter, PnePairing } from './pne-gateway.ts'
export type { Beat, Heartbeat, HeartbeatOptions, PresenceListener, PresenceReader } from './presence.ts'
export type { ProofTarget, Prover } from './proving.ts'
export type {
  SecureSession,
  SecureSessionListener,
  SecureSessionOptions,
  SecureSessionState,
} from './secure-session.ts'
export type {
  CallOptions,
  ClientPorts,
  CommandState,
  Session,
  SessionListener,
  SessionOptions,
  SessionState,
} from './session.ts'

/** The platform's websockets, cryptography and clock; its timers hold a process as long as something is awaited. */
export const platformPorts = (): ClientPorts => ({
  sockets: browserWebsocket(),
  crypto: webCrypto(),
  clock: systemClock({ holdsProcess: true }),
})

/**
 * Connects to an operator and authenticates; the session comes back by itself when its connection is lost.
 * @throws {ConnectFailed} {@link ServerNotTrusted} {@link RequestRefused} (401) {@link AnswerLost}
 */
export const connect = (options: SessionOptions, ports: ClientPorts = platformPorts()): Promise<Session> =>
  openSession(ports, options)

/**
 * Keeps a client connected to its operators, each by its policy; begins at once, and tries on until it is closed, or an operator
 * refuses it for good.
 * @throws {RangeError} without an operator, a URL or a server to begin with
 */
export const alwaysOn = (options: AlwaysOnOptions, ports: ClientPorts = platformPorts()): AlwaysOn =>
  keepAlwaysOn(ports, options)

/** Keeps policies in the origin's `localStorage`. */
export const browserPolicyStore: () => PolicyStore = localPolicyStore

/** A device that registers in a Personal Network through the gateway beside it. */
export const personalNetworkElement = (
  options: PneOptions,
  ports: ClientPorts = platformPorts(),
): PersonalNetworkElement => createPne(ports, options)

/** Seals content for the members of a service group, under the key that `group.key` gave. */
export const sealForGroup = (
  group: GroupName,
  key: GroupKey,
  plaintext: Uint8Array,
  { crypto }: Pick<ClientPorts, 'crypto'> = platformPorts(),
): Promise<SealedGroupContent> => sealGroupContent(crypto, group, key, plaintext)

/**
 * Opens what a member has sealed; `content.generation` says which key to ask `group.key` for.
 * @throws {DecryptionFailed} when it was not sealed for this group under this key, or was changed.
 */
export const openForGroup = (
  group: GroupName,
  key: GroupKey,
  content: SealedGroupContent,
  { crypto }: Pick<ClientPorts, 'crypto'> = platformPorts(),
): Promise<Uint8Array> => openGroupContent(crypto, group, key, content)

/** Reads the effective inventory of a Personal Network along. */
export const followInventory = (
  session: Session,
  network: NetworkName,
  listener: InventoryListener,
  { clock }: Pick<ClientPorts, 'clock'> = platformPorts(),
): InventoryReader => readInventory(session, clock, network, listener)

/** Reads a document along. */
export const followDocument = (
  session: Session,
  id: DocumentId,
  listener: DocumentListener,
  { clock }: Pick<ClientPorts, 'clock'> = platformPorts(),
): ClientDocument => openDocument(session, clock, id, listener)

/** Watches who of a Personal Network is there now. */
export const followPresence = (
  session: Session,
  network: NetworkName,
  listener: PresenceListener,
  { clock }: Pick<ClientPorts, 'clock'> = platformPorts(),
): PresenceReader => readPresence(session, clock, network, listener)

/** Says, as often as is needed, that a PNE, or a gateway with the PNEs beside it, is there. */
export const keepPresent = (
  session: Session,
  options: HeartbeatOptions,
  { clock }: Pick<ClientPorts, 'clock'> = platformPorts(),
): Heartbeat => beatFor(session, clock, options)

/** Opens the channel of an application, as soon as there is a connection, and keeps it open. */
export const openChannel = (
  home: ChannelHome,
  options: ChannelOptions,
  ports: Pick<ClientPorts, 'clock' | 'crypto'> = platformPorts(),
): Channel => channelOn(home, ports, options)

/** Opens the replica of this name in the browser's own database. @throws {ReplicaInUse} in another tab; {@link UnknownFormat} {@link ReplicaFailed} */
export const openBrowserReplica: typeof openBrowserReplicaStore = openBrowserReplicaStore

/**
 * A user's messages on this device: there without a connection, and kept in step with the servers when there is one.
 * @throws {ReplicaMismatch} {@link UnknownFormat} {@link ReplicaFailed}
 */
export const openMessageStore = (
  options: MessageStoreOptions,
  ports: MessageStorePorts = { ...platformPorts(), meter: browserNetworkMeter() },
): Promise<MessageStore> => keepMessages(ports, options)

/** The platform's `fetch`, and what else sending and receiving media takes. */
export const platformMediaPorts = (): MediaPorts => ({
  http: browserHttp(),
  sha256: browserSha256,
  crypto: webCrypto(),
  clock: systemClock({ holdsProcess: true }),
})

/**
 * Sends a media to a mailbox, in pieces, and goes on after a cut. Resolves when the server has it, durably: an object may refer
 * to it then.
 * @throws {RequestRefused} {@link MediaDamaged} {@link ConnectFailed}
 */
export const uploadMedia = (
  session: Session,
  options: MediaUploadOptions,
  ports: MediaPorts = platformMediaPorts(),
): Promise<MediaReference> => upload(session, ports, options)

/** Keeps media in memory that were received, up to a bound, so that what is shown again is not received again. */
export const mediaCache = (options: MediaCacheOptions = {}, ports: MediaPorts = platformMediaPorts()): MediaCache =>
  createMediaCache(ports, options)

/**
 * Receives a media of a mailbox, or a part of one, as it comes, and goes on after a cut. When it ends without an error, the whole
 * has the hash that it is called by.
 * @throws {RequestRefused} {@link MediaDamaged} {@link ConnectFailed}
 */
export const downloadMedia = (
  session: Session,
  options: MediaDownloadOptions,
  ports: MediaPorts = platformMediaPorts(),
): AsyncGenerator<Uint8Array> => download(session, ports, options)
