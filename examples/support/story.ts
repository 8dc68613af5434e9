import type { Inventory } from '../../src/client/node.ts'

/** Tells what happens, line by line, with how long each step took. */
export interface Story {
  /** A new part. */
  chapter(title: string): void
  /**
   * Does something and tells that it is done. What the action answers may add to the line.
   * @throws {StepFailed} when it fails, naming the step
   */
  step<T>(what: string, action: () => Promise<T>, say?: (result: T) => string): Promise<T>
  line(text: string): void
}

/** A step of the story did not come out as told. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed'
}

const color = process.stdout.isTTY && !process.env.NO_COLOR
const paint = (code: number, text: string) => (color ? `\u001b[${code}m${text}\u001b[0m` : text)

export function story(): Story {
  const began = performance.now()
  const at = () => paint(90, `${((performance.now() - began) / 1000).toFixed(2).padStart(6)} s`)
  return {
    chapter: title => console.log(`\n${paint(1, title)}`),
    line: text => console.log(`${' '.repeat(10)}${text}`),
    async step(what, action, say = () => '') {
      const start = performance.now()
      try {
        const result = await action()
        const detail = say(result)
        const took = `(${(performance.now() - start).toFixed(0)} ms)`
        console.log(`${at()}  ${paint(32, '✓')} ${what}${detail && `: ${detail}`} ${paint(90, took)}`)
        return result
      } catch (error) {
        console.log(`${at()}  ${paint(31, '✗')} ${what}`)
        throw new StepFailed(`The story failed at “${what}”: ${(error as Error).message}`, { cause: error })
      }
    },
  }
}

/** Rows of text in aligned columns, indented as {@link Story.line} is. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map(row => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return [head, widths.map(width => '─'.repeat(width)), ...rows].map(line).join(`\n${' '.repeat(10)}`)
}

export const inventoryTable = ({ members }: Inventory): string =>
  table(
    ['PNE', 'operator', 'state', 'gateway', 'CPNS ID'],
    members.map(({ pneId, operator, state, gatewayId = '', cpnsId = '' }) => [
      pneId,
      operator,
      state,
      gatewayId,
      cpnsId,
    ]),
  )

/**
 * Tells a story, as long as nobody asks the process to end (Ctrl-C, or otherwise); then ends what it began. The exit code is
 * 1 when a step failed. `asked` resolves when the process is asked to end, for a story that goes on until then.
 */
export async function tellUntilAsked(
  tell: (asked: Promise<void>) => Promise<void>,
  end: () => Promise<void>,
): Promise<void> {
  const interruption = awaitInterruption()
  try {
    await Promise.race([tell(interruption.happened), interruption.happened])
  } catch (error) {
    process.exitCode = 1
    console.error(error instanceof StepFailed ? `\n${error.message}` : error)
  } finally {
    interruption.forget()
    await end()
  }
}

/** Until it is forgotten the process stays. */
function awaitInterruption(): { readonly happened: Promise<void>; forget(): void } {
  const alive = setInterval(() => {}, 60_000)
  const happened = new Promise<void>(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  return { happened, forget: () => clearInterval(alive) }
}

/** Waits until `check` gives something. @throws when it has not within the time */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | undefined | false>,
  withinMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const result = await check()
    if (result) return result
    if (performance.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
