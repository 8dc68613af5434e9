import type { AuditEntry, AuditLog } from '../../adapters/audit-file.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import { AdminRefusal } from './refusal.ts'
import type { Served } from './route.ts'

/*
 * Records every request that changes something: before it is done, and with its outcome. What bodies say is left out: they may hold
 * secrets.
 */

/** A request that would change something. */
export type Act = Pick<AuditEntry, 'by' | 'from' | 'method' | 'path'>

/** Has the work done between the two records of it. */
export type Recorded = (act: Act, work: () => Promise<Served>) => Promise<Served>

export function recording(of: {
  readonly audit: AuditLog
  readonly telemetry: Telemetry
  /** Names a request, in both its records. */
  readonly newRequest: () => string
  /**
   * Whether what cannot be recorded is done all the same. The owner of a machine whose disk is full must be able to act; what comes
   * from elsewhere waits until it can be recorded.
   */
  readonly withoutRecord: 'done' | 'refused'
}): Recorded {
  const { audit, telemetry, newRequest, withoutRecord } = of

  async function append(entry: AuditEntry): Promise<void> {
    try {
      await audit.append(entry)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('error', 'admin.audit-failed', { ...entry, message })
      if (withoutRecord === 'refused' && entry.status === undefined) {
        throw new AdminRefusal(503, `Nothing was done, since it cannot be recorded: ${message}`)
      }
    }
  }

  return async (act, work) => {
    const request = newRequest()
    await append({ request, ...act })
    try {
      const served = await work()
      await append({ request, ...act, status: served.status })
      return served
    } catch (error) {
      const status = error instanceof AdminRefusal ? error.status : 500
      await append({ request, ...act, status, message: error instanceof Error ? error.message : String(error) })
      throw error
    }
  }
}
