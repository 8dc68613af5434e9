/*
 * Property: `cpns verify` reads everything of a stopped node, names what was changed on its disk and exits with 1; with --repair it
 * leaves a store of which nothing is damaged, and the node starts on it; of a running node it tells what that has found. Fails
 * when damage is passed over, or when a repair takes away what is whole.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { Refused } from '../../src/cli/problems.ts'
import { verifyCommand } from '../../src/cli/verify.ts'
import { DocumentDamaged } from '../../src/document/documents.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { launch } from '../../src/operations/launch.ts'
import { realNode } from '../operations/admin/real-node.ts'

const test = suite('cpns verify')
const struck = asDocumentId('pn/a.example/struck')
const other = asDocumentId('pn/a.example/other')

async function verified(...args: string[]): Promise<{ lines: string[]; refused: string | undefined }> {
  const { log } = console
  const lines: string[] = []
  console.log = (line: string) => void lines.push(line)
  try {
    await verifyCommand().parseAsync(args, { from: 'user' })
    return { lines, refused: undefined }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return { lines, refused: error.message }
  } finally {
    console.log = log
  }
}

async function flip(folder: string, text: string): Promise<void> {
  await (await openLevelLogStore(folder)).close()
  for (const name of (await readdir(folder)).filter(name => name.endsWith('.ldb'))) {
    const bytes = await readFile(join(folder, name))
    const at = bytes.indexOf(text)
    if (at < 0) continue
    bytes[at + 3] = (bytes[at + 3] ?? 0) ^ 1
    await writeFile(join(folder, name), bytes)
    return
  }
  throw new Error(`No file holds "${text}".`)
}

test('of a node that runs, then of one that is stopped: sound, damaged, repaired, and started again', async () => {
  const { node, folder, at, configuration, end } = await realNode()
  try {
    const config = ['--config', join(folder, 'cpns.toml')]
    for (let count = 0; count < 5; count++)
      await node.documents.write(struck, () => ({
        writes: [{ key: `k${count}`, value: `to be struck ${count}` }],
        local: [{ key: `answer/${count}`, value: Buffer.from(`a sealed answer ${count}`) }],
        answer: undefined,
      }))
    await node.documents.write(other, () => ({ writes: [{ key: 'k', value: 1 }], answer: undefined }))
    const running = await verified(...config)
    assert.is(running.refused, undefined)
    assert.match(running.lines.join('\n'), /runs, and has not read its disk through/)
    assert.match((await verified(...config, '--repair')).refused ?? '', /stop it first/)
    await node.stop()

    const sound = await verified(...config)
    assert.is(sound.refused, undefined)
    assert.match(sound.lines.join('\n'), /as they were written/)
    await flip(at(configuration.data), 'to be struck 3')
    await flip(at(configuration.data), 'a sealed answer 2')
    const damaged = await verified(...config)
    assert.match(damaged.refused ?? '', /^2 damaged/)
    assert.match(damaged.lines.join('\n'), /entry pn\/a\.example\/struck .* 3 is damaged/)
    assert.match(damaged.lines.join('\n'), /local answer\/2 is damaged/)
    const json = JSON.parse((await verified(...config, '--json')).lines.join(''))
    assert.is(json.faults.length, 2)
    const repaired = await verified(...config, '--repair')
    assert.is(repaired.refused, undefined)
    assert.match((await verified(...config)).refused ?? '', /1 documents lack/)

    const again = await launch(configuration, at)
    await again.ready
    try {
      assert.instance(await again.documents.read(struck).catch((error: unknown) => error), DocumentDamaged)
      assert.is((await again.documents.read(other)).get('k')?.value, 1)
      assert.match((await verified(...config)).lines.join('\n'), /pn\/a\.example\/struck is refused since/)
      const givenUp = await verified(...config, '--give-up', struck)
      assert.is(givenUp.refused, undefined)
      assert.is((await again.documents.read(struck)).get('k2')?.value, 'to be struck 2')
      assert.match((await verified(...config, '--give-up', struck)).refused ?? '', /is not damaged/)
    } finally {
      await again.stop()
    }
  } finally {
    await end()
  }
})

test.run()
