import { BackupRefused } from '../adapters/backup/format.ts'
import { NodeNotReached } from '../adapters/control-socket.ts'
import { FileProblem } from '../adapters/files.ts'
import { RequestRefused, ServerNotTrusted } from '../client/errors.ts'
import { WriteFailed } from '../document/documents.ts'
import { HistoryUnsteady } from '../document/history.ts'
import { InvalidManifest } from '../federation/manifest.ts'
import { NotAMember } from '../federation/membership.ts'
import { InvalidConfiguration } from '../operations/configuration.ts'
import { ContentWithheld, NotHeld } from '../operations/inspection/held.ts'
import { InspectionRefused } from '../operations/inspection/over-socket.ts'
import { PinRefused } from '../operations/trust-files.ts'
import { ConnectFailed, ListenRefused } from '../ports/client-sockets.ts'
import { CommitRefused, CorruptRecord, StoreDamaged, StoreInUse } from '../ports/log-store.ts'
import { InvalidName } from '../ports/names.ts'
import { UnknownFormat } from '../ports/stored-format.ts'

/** A command that cannot do what it was asked to; the message says why and what to do. */
export class Refused extends Error {
  override readonly name = 'Refused'
}

const expected = [
  BackupRefused,
  CommitRefused,
  ConnectFailed,
  ContentWithheld,
  CorruptRecord,
  FileProblem,
  HistoryUnsteady,
  InspectionRefused,
  InvalidConfiguration,
  InvalidManifest,
  InvalidName,
  ListenRefused,
  NodeNotReached,
  NotAMember,
  NotHeld,
  PinRefused,
  Refused,
  RequestRefused,
  ServerNotTrusted,
  StoreDamaged,
  StoreInUse,
  UnknownFormat,
  WriteFailed,
]

/** Whether a person can act on the message alone: then it is printed without a stack. */
export const isExpected = (error: unknown): error is Error => expected.some(kind => error instanceof kind)
