import { FileProblem } from '../adapters/files.ts'
import { InvalidManifest } from '../federation/manifest.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { InvalidConfiguration } from './configuration.ts'
import { type Change, changesBetween, takenOver } from './configuration-changes.ts'
import type { Configuration } from './configuration-schema.ts'

/*
 * A running node reads its configuration again. All of it is read and examined first: what is wrong anywhere leaves everything as
 * it was. Then what can be changed is, and what takes a start is named.
 */

/** Nothing was changed; the message says which file or setting is wrong. */
export class ReloadRefused extends Error {
  override readonly name = 'ReloadRefused'
}

/** Who wants it: a signal, or a name of the admin API. */
export type ReloadBy = string

export interface Reloaded {
  /** What holds from now on. */
  readonly changed: readonly Change[]
  /** What the file has otherwise than the running node, and holds after a start. */
  readonly waiting: readonly Change[]
}

export interface Reloading {
  /** The configuration that holds: what takes a start is as it was at the start. */
  readonly inForce: Configuration
  /** One after another. @throws {ReloadRefused} */
  reload(by: ReloadBy): Promise<Reloaded>
}

export function createReloading(of: {
  readonly started: Configuration
  /** Reads the configuration again; absent: whoever started the node keeps it. @throws as `readConfiguration` */
  readonly reread: (() => Promise<Configuration>) | undefined
  /** Reads what else there is to read, changes nothing, and answers with what does. @throws {FileProblem} {@link InvalidManifest} */
  readonly prepare: (next: Configuration, changed: readonly Change[]) => Promise<() => Promise<void>>
  readonly telemetry: Pick<Telemetry, 'log'>
}): Reloading {
  const { reread, prepare, telemetry } = of
  let inForce = of.started
  let turn: Promise<unknown> = Promise.resolve()

  async function reload(by: ReloadBy, reread: () => Promise<Configuration>): Promise<Reloaded> {
    const read = await reread()
    const changes = changesBetween(inForce, read)
    const changed = changes.filter(({ isReloadable }) => isReloadable)
    const waiting = changes.filter(({ isReloadable }) => !isReloadable)
    const next = takenOver(inForce, read)
    const apply = await prepare(next, changed)
    await apply()
    inForce = next
    for (const { setting, before, after } of changed) {
      telemetry.log('warn', 'configuration.changed', { by, setting, before: told(before), after: told(after) })
    }
    for (const { setting } of waiting) telemetry.log('warn', 'configuration.waiting', { by, setting })
    telemetry.log('info', 'configuration.reloaded', { by, changed: changed.length, waiting: waiting.length })
    return { changed, waiting }
  }

  async function orRefused(by: ReloadBy): Promise<Reloaded> {
    if (!reread) {
      throw new ReloadRefused(
        'This node has its configuration from the program that it is part of: that has to start it anew.',
      )
    }
    try {
      return await reload(by, reread)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('error', 'configuration.refused', { by, message })
      if (isOfFiles(error)) throw new ReloadRefused(`Nothing was changed. ${message}`)
      throw error
    }
  }

  return {
    get inForce() {
      return inForce
    },
    reload(by) {
      const reloaded = turn.then(() => orRefused(by))
      turn = reloaded.catch(() => {}) // who asked hears of it
      return reloaded
    },
  }
}

const isOfFiles = (error: unknown): boolean =>
  [FileProblem, InvalidConfiguration, InvalidManifest].some(kind => error instanceof kind)

/** Settings hold no secrets: these are in files of their own, which settings name. */
const told = (value: unknown): string => (value === undefined ? 'not set' : JSON.stringify(value))
