import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { operatorPolicy } from '../../src/access/policy/rules.ts'
import { InvalidConfiguration } from '../../src/operations/configuration.ts'
import { formatPolicy, readPolicy } from '../../src/operations/policy-file.ts'

/*
 * Proves: a policy that is printed can be read again, and is the same; what is no setting, or no value of one, is refused with
 * its name and, where there is one, the setting that was meant. It fails if a policy loses something on its way through a file.
 */
const test = suite('policy files')
const read = (text: string) => readPolicy({ text, name: 'policy.toml' })

function refusal(text: string): string {
  try {
    read(text)
  } catch (error) {
    if (error instanceof InvalidConfiguration) return error.message
    throw error
  }
  throw new Error('It was read.')
}

test('an empty file is the policy that holds by itself', () => {
  assert.equal(read(''), operatorPolicy.parse({}))
})

test('what is printed is read as it was', () => {
  const durations = fc.tuple(fc.integer({ min: 1_000, max: 86_400_000 }), fc.integer({ min: 1_000, max: 86_400_000 }))
  const rules = fc.record({
    allocation: fc.constantFrom('weighted' as const, 'ordered' as const),
    several: fc.boolean(),
    hops: fc.integer({ min: 0, max: 8 }),
    direct: fc.record({ allowed: fc.boolean(), afterMs: fc.integer({ min: 0, max: 1_000 }) }),
    heartbeat: durations.map(([a, b]) => ({ leastMs: Math.min(a, b), mostMs: Math.max(a, b) })),
    backoff: durations.map(([a, b]) => ({ firstMs: Math.min(a, b), longestMs: Math.max(a, b) })),
    partners: fc.subarray(['b.example', 'c.example']),
  })
  fc.assert(
    fc.property(rules, fc.option(rules, { nil: undefined }), (standard, emergency) => {
      const policy = operatorPolicy.parse({ standard, ...(emergency && { emergency }) })
      assert.equal(read(formatPolicy(policy, 'a comment')), policy)
    }),
  )
})

test('a name that is none is refused with the one that was meant', () => {
  assert.is(
    refusal('[standard]\nhopps = 2'),
    'policy.toml: there is no setting "standard.hopps"; did you mean "standard.hops"?',
  )
  assert.match(
    refusal('[standard.backoff]\nlongest = 2'),
    /"standard.backoff.longest"; did you mean "standard.backoff.longestMs"/,
  )
  assert.match(refusal('[standart]'), /"standart"; did you mean "standard"/)
  const server = '12D3KooWGatU9DoTwzr4sLDmLcTmFpcr7GfnDQ2PnJh1XWTRYMDY'
  assert.match(
    refusal(`[[standard.servers]]\nserver = "${server}"\nwieght = 2`),
    /servers\.0\.wieght".*servers\.0\.weight"/,
  )
})

test('a value that is none is refused with the place where it stands', () => {
  assert.match(refusal('[standard]\nhops = 99'), /^policy\.toml: standard\.hops: /)
  assert.match(
    refusal('[standard.heartbeat]\nleastMs = 5000\nmostMs = 2000'),
    /standard\.heartbeat\.leastMs: expected leastMs/,
  )
  assert.match(refusal('[[standard.servers]]\nserver = "c1"'), /standard\.servers\.0\.server: expected a server/)
  assert.match(refusal('takes = ["B.EXAMPLE"]'), /takes\.0: expected an operator/)
  assert.match(refusal('hops ='), /^policy\.toml:1:\d+: not TOML/)
})

test.run()
