#!/bin/sh
//usr/bin/env true; exec node --initial-heap-size=256 "$0" "$@"

/*
 * To a shell the line above says how Node is started; to Node it is a comment. While a heap is as small as a server's, V8 collects all garbage
 * each time that 8 MiB more of file contents are in memory than after the last time. Documents are such contents, and up to 256 MiB of
 * them are kept: so about one conversation in twenty that was opened waited for that, for longer than opening takes. Below 256 MiB V8
 * need not do it. An environment variable cannot say so, and not every `env` takes arguments for Node.
 */
import { keepCompiledCode } from '../adapters/compile-cache.ts'
import { countBuffersAsHeap } from './heap.ts'

countBuffersAsHeap()
keepCompiledCode()
// Only what is loaded from now on is kept.
const { cpnsProgram, exitCodeOf } = await import('./program.ts')

try {
  await cpnsProgram().parseAsync()
} catch (error) {
  process.exitCode = exitCodeOf(error)
}
