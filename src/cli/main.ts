#!/usr/bin/env node
import { cpnsProgram, exitCodeOf } from './program.ts'

try {
  await cpnsProgram().parseAsync()
} catch (error) {
  process.exitCode = exitCodeOf(error)
}
