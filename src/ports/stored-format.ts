import { z } from 'zod'

/*
 * Whatever is kept beyond the life of a process says in which format it was written. A release reads the formats up to the one
 * that it writes; what a later one wrote it leaves as it is, since it could only lose what it does not understand.
 */

/** Something stored that another, mostly a later, release wrote. It was not changed. */
export class UnknownFormat extends Error {
  override readonly name = 'UnknownFormat'
  /** @param what the file or store, as people find it; `known`: the version that this release writes */
  constructor(what: string, version: number | string, known: number) {
    super(
      `${what} has format version ${version}; this program reads version ${known}. Start the release that wrote it.`,
    )
  }
}

const versioned = z.object({ version: z.int() })

/**
 * Refuses what a later release wrote. What says no version passes: whether it is anything at all is for its schema to say.
 * @param value parsed JSON, whose `version` counts
 * @throws {UnknownFormat}
 */
export function refuseLater(what: string, value: unknown, known: number): void {
  const { data } = versioned.safeParse(value)
  if (data && data.version > known) throw new UnknownFormat(what, data.version, known)
}
