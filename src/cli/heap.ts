import { setFlagsFromString } from 'node:v8'

/** Later ones do it by themselves and know no such flag; earlier ones cannot. */
const canBeTold = '13.6.'

/**
 * Has V8 count the contents of files towards the limit that the whole heap has. This release collects all garbage each time that 64 MiB of
 * them have come, however much room there is: while conversations are opened that is at every seventieth, and who opens it waits
 * for longer than opening takes. Compiled code that is kept fits only who has the same flags: so this comes before
 * any is read, and not at all where others may keep theirs in the same folder.
 */
export function countBuffersAsHeap(): void {
  if (process.env.NODE_COMPILE_CACHE !== undefined) return
  if (process.versions.v8.startsWith(canBeTold)) setFlagsFromString(countsBuffersAsHeap)
}

export const countsBuffersAsHeap = '--external-memory-accounted-in-global-limit'
