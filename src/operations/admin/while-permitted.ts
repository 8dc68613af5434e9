import type { Cancel, Clock } from '../../ports/clock.ts'

/** How long a stream may outlive the permission of who has asked for it. */
export const permitCheckMs = 2_000

/**
 * The same stream for as long as who has asked for it may: every {@link permitCheckMs} that is looked at anew, and when it fails the
 * stream breaks off, so that nobody takes what has come for all of it. So a console that was left open sees nothing any more once
 * its token was revoked or has expired.
 *
 * @param permitted throws when it is not permitted any more
 */
export function whilePermitted(
  stream: ReadableStream<Uint8Array>,
  permitted: () => Promise<void>,
  clock: Pick<Clock, 'after'>,
): ReadableStream<Uint8Array> {
  const reader = stream.getReader()
  let isOver = false
  let cancel: Cancel = () => {}

  function over(): void {
    isOver = true
    cancel()
  }

  async function look(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const why = await permitted().catch((error: unknown) => error)
    if (isOver) return
    if (why === undefined) {
      cancel = clock.after(permitCheckMs, () => void look(controller))
      return
    }
    over()
    controller.error(why)
    await reader.cancel(why).catch(() => {}) // it ends for a reason of its own
  }

  // Nothing is read ahead: how much its reader takes is what the source goes by.
  const onDemand = { highWaterMark: 0 }
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        cancel = clock.after(permitCheckMs, () => void look(controller))
      },
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (isOver) return
          if (!done) return controller.enqueue(value)
        } catch (error) {
          over()
          throw error
        }
        over()
        controller.close()
      },
      async cancel(reason) {
        over()
        await reader.cancel(reason)
      },
    },
    onDemand,
  )
}
