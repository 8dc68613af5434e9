import type { ZipFormat } from '../ports/zip-format.ts'
import { readZip } from './zip-reader.ts'
import { writeZip } from './zip-writer.ts'

export const zipFormat: ZipFormat = { write: writeZip, read: readZip }
