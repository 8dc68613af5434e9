/** What is shown of something that takes a while: one line that changes on a terminal, elsewhere only how it ended. */
export interface Progress {
  show(text: string): void
  /** Takes away what is shown, so that something else can be printed. */
  clear(): void
}

/** How often the line on a terminal changes; and how soon, and then how much more rarely, a line is printed elsewhere. */
const redrawMs = 100
const firstLineMs = 10_000

export function liveProgress(title: string, out: NodeJS.WriteStream = process.stdout): Progress {
  const { isTTY } = out
  let lastMs = performance.now()
  let patienceMs = isTTY ? redrawMs : firstLineMs
  return {
    show(text) {
      const nowMs = performance.now()
      if (nowMs - lastMs < patienceMs) return
      lastMs = nowMs
      if (isTTY) out.write(`\r\u001b[2K${title}: ${text}`)
      else {
        out.write(`${title}: ${text}\n`)
        patienceMs *= 2
      }
    },
    clear() {
      if (isTTY) out.write('\r\u001b[2K')
    },
  }
}
