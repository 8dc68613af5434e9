import type { LogFields } from '../../ports/telemetry.ts'

const encodings = ['base64url', 'base64', 'hex'] as const

/** Finds secrets of 32 bytes in bytes and texts, raw or as they are usually written; in time linear in what is looked through. */
export class Secrets {
  readonly #raw = new Set<string>()
  readonly #texts = new Map<number, Set<string>>()
  /** First two bytes of every raw secret: most positions are passed over by it. */
  readonly #beginnings = new Set<number>()
  readonly #known = new Set<string>()

  add(secret: Uint8Array): void {
    const bytes = Buffer.from(secret)
    const raw = bytes.toString('latin1')
    if (this.#known.has(raw)) return
    this.#known.add(raw)
    if (bytes.length === 32) {
      this.#raw.add(raw)
      this.#beginnings.add(bytes.readUInt16BE(0))
    }
    for (const encoding of encodings) {
      const text = bytes.toString(encoding).replace(/=+$/, '')
      const sameLength = this.#texts.get(text.length) ?? new Set()
      this.#texts.set(text.length, sameLength.add(text))
    }
  }

  /** Whether a secret stands anywhere in `bytes`. */
  isIn(bytes: Uint8Array): boolean {
    for (let at = 0; at + 32 <= bytes.length; at++) {
      const beginning = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
      if (!this.#beginnings.has(beginning)) continue
      if (this.#raw.has(Buffer.from(bytes.subarray(at, at + 32)).toString('latin1'))) return true
    }
    return this.isInText(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1'))
  }

  isInText(text: string): boolean {
    for (const [run] of text.matchAll(/[A-Za-z0-9_+/-]{43,}/g)) {
      for (const [length, secrets] of this.#texts) {
        for (let at = 0; at + length <= run.length; at++) if (secrets.has(run.slice(at, at + length))) return true
      }
    }
    return false
  }

  isInFields(fields: LogFields): boolean {
    return Object.values(fields).some(value => typeof value === 'string' && this.isInText(value))
  }
}
