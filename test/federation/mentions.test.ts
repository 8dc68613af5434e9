/*
 * Property: of what one peer does at most a few lines of each kind are logged in a window of time, whatever it does and whenever;
 * and no mention is lost: lines, and what they say was left out, add up. Fails when a flood fills the log, when one kind
 * hides another, or when the log stays silent for good.
 */
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Mentions } from '../../src/federation/mentions.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'

const windowMs = 10_000
const linesPerWindow = 20

test('lines of a kind are few in any window, and together with what they say was left out they are all', () => {
  const said = fc.record({ afterMs: fc.nat(2_000), reason: fc.constantFrom('malformed', 'forked'), times: fc.nat(60) })
  fc.assert(
    fc.property(fc.array(said, { maxLength: 40 }), said => {
      let nowMs = 0
      const telemetry = new RecordingTelemetry()
      const mentions = new Mentions(telemetry, { elapsed: () => nowMs })
      const all = { malformed: 0, forked: 0 }
      const mention = (reason: keyof typeof all) => {
        all[reason]++
        mentions.log('warn', 'entries.refused', { reason, atMs: nowMs })
      }
      for (const { afterMs, reason, times } of said) {
        nowMs += afterMs
        for (let time = 0; time < times; time++) mention(reason as keyof typeof all)
      }
      nowMs += windowMs
      for (const reason of ['malformed', 'forked'] as const) {
        mention(reason)
        const lines = telemetry.events('entries.refused').filter(fields => fields.reason === reason)
        const unsaid = lines.reduce((sum, fields) => sum + Number(fields.unsaid ?? 0), 0)
        assert.is(lines.length + unsaid, all[reason])
        for (const [index, { atMs }] of lines.entries()) {
          const later = lines[index + 2 * linesPerWindow]
          if (later) assert.ok(Number(later.atMs) - Number(atMs) >= windowMs, 'in any window at most twice as many')
        }
      }
    }),
    { numRuns: Number(process.env.RUNS ?? 200) },
  )
})

test.run()
