import { join } from 'node:path'
import { askNode, controlSocketName } from '../../../src/adapters/control-socket.ts'
import type { Name } from '../../conformance/attacks.ts'

const sample = /^(\w+?)(?:\{(.*)\})? (\S+)$/
const label = /(\w+)="((?:[^"\\]|\\.)*)"/g

/** What a server of a folder says that it has counted: the sum over all labels that are not named. */
export async function counted(folder: string, { counter, labels }: Name): Promise<number> {
  const { lines } = await askNode(join(folder, 'data', controlSocketName), 'GET', '/metrics')
  let sum = 0
  for await (const line of lines) {
    const [, name, text = '', value] = sample.exec(line) ?? []
    if (name !== counter) continue
    const has = new Map([...text.matchAll(label)].map(([, key, value]) => [key, value]))
    if (Object.entries(labels).every(([key, value]) => has.get(key) === value)) sum += Number(value)
  }
  return sum
}
