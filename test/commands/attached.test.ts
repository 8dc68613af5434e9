import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createAttached } from '../../src/commands/attached.ts'
import { operatorId } from '../../src/ports/names.ts'

/*
 * Proves, by random comings and goings of which some say twice that they go: a subscriber is attached as long as one of its
 * connections is, hears everything once on each of them, and of itself others hear when its first comes and its last has gone.
 */
const test = suite('attached subscribers')
const operator = operatorId('a.example')
const alice = { operator, identity: 'alice' }
const bob = { operator, identity: 'bob' }

const step = fc.record({ who: fc.constantFrom(alice, bob), comes: fc.boolean(), at: fc.nat(5), twice: fc.boolean() })

test('is there as long as one connection is', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const attached = createAttached()
      const announced: string[] = []
      attached.subscribe(({ identity }, isAttached) => announced.push(`${identity} ${isAttached}`))
      const connections = new Map([alice, bob].map(who => [who, [] as (() => void)[]]))
      const expected: string[] = []
      let heard = 0
      const hear = () => {
        heard += 1
      }
      for (const { who, comes, at, twice } of steps) {
        const here = connections.get(who) ?? []
        if (comes) {
          if (here.length === 0) expected.push(`${who.identity} true`)
          here.push(attached.enter(who, hear))
        } else {
          const [leave] = here.splice(at % Math.max(1, here.length), 1)
          leave?.()
          if (twice) leave?.()
          if (leave && here.length === 0) expected.push(`${who.identity} false`)
        }
        heard = 0
        assert.is(attached.deliver(who, 'm', {}), here.length > 0)
        assert.is(heard, here.length)
        assert.is(attached.has(who), here.length > 0)
      }
      assert.equal(announced, expected)
    }),
  )
})

test.run()
