import type { AccessLimits } from '../access/limits.ts'
import type { LoadLimits } from '../access/load/create-load.ts'
import type { TraceEvent } from '../actor/types.ts'
import type { ChannelLimits } from '../channels/limits.ts'
import type { DocumentLimits } from '../document/limits.ts'
import type { ScrubLimits } from '../document/scrubber.ts'
import type { LinkLimits } from '../federation/limits.ts'
import type { QuotaSettings } from '../federation/quotas.ts'
import type { InventoryLimits } from '../inventory/limits.ts'
import type { CertificateCheck } from '../ports/certificates.ts'
import type { ClientListener } from '../ports/client-sockets.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { OperatorSecrets, ServerIdentity } from '../ports/identity.ts'
import type { KeySource } from '../ports/key-source.ts'
import type { LoadProbe } from '../ports/load-probe.ts'
import type { LogStore } from '../ports/log-store.ts'
import type { MediaStore } from '../ports/media-store.ts'
import type { OperatorId, ServerId } from '../ports/names.ts'
import type { PeerNetwork } from '../ports/peer-network.ts'
import type { Push } from '../ports/push.ts'
import type { Random } from '../ports/random.ts'
import type { SearchIndex } from '../ports/search-index.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { ZipFormat } from '../ports/zip-format.ts'
import type { ChangeablePolicy, StoragePolicy } from '../storage/policy.ts'

/* What a node is given: its outside world, who it is and whom it trusts, and how much of everything. */

/** The outside world of one node. Production and simulation differ here and nowhere else. */
export interface NodePorts {
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly store: LogStore
  /** Media of mailboxes; without it none are taken. */
  readonly media?: MediaStore
  readonly network: PeerNetwork
  readonly listener: ClientListener
  readonly keys: KeySource
  readonly probe: LoadProbe
  /** What PNEs may register with certificates by; without it none may. */
  readonly certificates?: CertificateCheck
  /** Without it devices are told of changes on their connections alone. */
  readonly push?: Push
  /** Absent: mailboxes cannot be exported or imported. */
  readonly zip?: ZipFormat
  /** By what mailboxes are searched; without it they are not. Closed by whoever opened it. */
  readonly searchIndex?: SearchIndex
  readonly telemetry: Telemetry
  /** Has spans of what actors do be parts of what their messages were sent for; without it they stand alone. */
  readonly carry?: () => <T>(work: () => T) => T
  /** Hears of every message of every actor, in order. */
  readonly trace?: (event: TraceEvent) => void
}

/** What the parts of a node take, and how long they wait. What is left out is as each part has it. */
export interface NodeLimits {
  readonly documents?: Partial<DocumentLimits>
  readonly links?: Partial<LinkLimits>
  /** What other operators may have of this server. */
  readonly quota?: QuotaSettings
  readonly inventory?: Partial<InventoryLimits>
  readonly storage?: Partial<StoragePolicy>
  readonly access?: Partial<AccessLimits>
  readonly load?: Partial<LoadLimits>
  readonly channels?: Partial<ChannelLimits>
  readonly scrub?: Partial<ScrubLimits>
}

/** What of these can be changed while it runs. */
export interface ChangeableLimits {
  readonly quota: QuotaSettings
  readonly storage: ChangeablePolicy
  readonly scrub: ScrubLimits
}

/** Who the node is, and whom it trusts. */
export interface NodeSettings {
  readonly identity: ServerIdentity
  readonly secrets: OperatorSecrets
  /** This operator's signed manifest, which names this server. */
  readonly manifest: string
  /** Root fingerprints of trusted operators; this one's own too, if its manifest is to be held to it. */
  readonly pins: ReadonlyMap<OperatorId, string>
  /** Manifests of trusted operators, as far as known; newer ones come from the operators themselves. */
  readonly peerManifests: readonly string[]
  /**
   * The servers of its own operator that this one links with; all of them, if left out. An operator with many servers gives
   * each a few, so that all hang together: entries are passed on. Either side of a link may name the other.
   */
  readonly neighbours?: readonly ServerId[]
  readonly limits?: NodeLimits
}
