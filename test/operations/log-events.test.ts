/*
 * Property: the events that the code logs and the table of them are the same set, with names of one form; `cpns events` shows it.
 * The compiler refuses a call with a name that is not there; this fails when a name is there that nothing logs any more, when a call
 * gets round the compiler, and when a name has no meaning beside it.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { logEvents } from '../../src/ports/log-events.ts'
import { cpnsHere } from '../cli/in-process.ts'

const test = suite('Events of the log')

const src = fileURLToPath(new URL('../../src', import.meta.url))
const text = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.ts') && !file.endsWith('ports/log-events.ts'))
  .map(file => readFileSync(`${src}/${file}`, 'utf8'))
  .join('\n')

/** `log(level, 'name'` and `log(level, \`${what}.name\``, where `what` is one of two. */
const logged = new Set(
  [...text.matchAll(/\blog\(\s*[^;]{1,60}?,\s*(?:'([a-z-]+(?:\.[a-z-]+)+)'|`\$\{what\}(\.[\w.-]+)`)\s*[,)]/g)].flatMap(
    ([, name, ending]) => (name !== undefined ? [name] : [`notices${ending}`, `presence${ending}`]),
  ),
)

test('what is logged is in the table, and what is in the table is logged', () => {
  assert.ok(logged.size > 100, `${logged.size} found`)
  assert.equal([...logged].sort(), Object.keys(logEvents).sort())
})

test('names are of one form, and each has a meaning', () => {
  for (const [name, meaning] of Object.entries(logEvents)) {
    assert.match(name, /^[a-z]+(-[a-z]+)*(\.[a-z]+(-[a-z]+)*)+$/)
    assert.match(meaning, /^[A-Z].{10,}\.$/, name)
  }
})

test('cpns events shows all, some, and says so when there are none', async () => {
  const all = await cpnsHere('events', '--json')
  assert.equal(JSON.parse(all.stdout), logEvents)
  const some = await cpnsHere('events', 'quota')
  assert.match(some.stdout, /^EVENT +MEANING\nquota\.exceeded +An operator wants more [^\n]+\n$/)
  const none = await cpnsHere('events', 'nothing')
  assert.is(none.code, 1)
  assert.match(none.stderr, /No event is called nothing; cpns events lists all of them/)
})

test.run()
