import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { folders } from './bench-server.ts'
import { startChild } from './child.ts'
import {
  arrivalsOf,
  type FloodResult,
  floodRun,
  names,
  on,
  peakOf,
  type Scale,
  tell,
  times,
  unloaded,
} from './flood.ts'
import type { KeyServerAnswer, KeyServerOrder } from './key-server.child.ts'

/*
 * The same flood where not the server is what there is too little of, but what it depends on: the operator's subscriber database
 * looks one subscriber up after another. What waits there too long is looked up for nobody, since the server lets go of who has not
 * authenticated in time: so without control, all that the database can do is done in vain.
 */

const lookupMs = 10

const whole: Scale = {
  ...{ sessions: 20, requestsPerSecond: 50 },
  ...{ calmSeconds: 10, peakSeconds: 6, floodSeconds: 30, afterSeconds: 15 },
}
const quick: Scale = { ...whole, calmSeconds: 4, peakSeconds: 4, floodSeconds: 15, afterSeconds: 8 }
/** Nobody comes twice within a run, so that nothing that was answered before is of use. */
const newcomers = 100_000

export async function keySourceFlood(
  root: string,
  isQuick: boolean,
  progress: (line: string) => void,
): Promise<FloodResult> {
  const scale = isQuick ? quick : whole
  const existing = names('here', scale.sessions)
  const arrive = arrivalsOf(names('new', newcomers))
  const [home] = await folders(root, 1, [])
  if (!home) throw new Error('There is no server.')
  const tokenFile = join(home.folder, 'token')
  await writeFile(tokenFile, 'a token that the key server does not look at\n', { mode: 0o600 })
  const keys = startChild<KeyServerOrder, KeyServerAnswer>('key-server.child.ts')
  try {
    const { port } = await keys.ask({ lookupMs })
    const settings = { 'keySource.url': `http://127.0.0.1:${port}`, 'keySource.tokenFile': tokenFile }
    progress(`a key server that looks up ${1000 / lookupMs} subscribers a second`)
    const measured = await on(home, { ...settings, 'load.controlled': true }, existing, scale, async stage => {
      const unloadedP99Ms = await unloaded(stage, scale)
      const peak = await peakOf(stage, scale, arrive, progress)
      return { unloadedP99Ms, peak, controlled: await floodRun(stage, scale, peak, arrive) }
    })
    const { peak, controlled } = measured
    tell('with control', controlled, progress)
    const uncontrolled = await on(home, { ...settings, 'load.controlled': false }, existing, scale, stage =>
      floodRun(stage, scale, peak, arrive),
    )
    tell('without', uncontrolled, progress)
    const share = ({ goodput }: typeof controlled) => (100 * goodput) / peak
    return {
      ...{ ...measured, offered: times * peak, uncontrolled },
      figures: [
        { name: 'peak, key server of limited capacity', value: peak, unit: 'authentications/s' },
        { name: `goodput at ${times} × the peak`, value: share(controlled), unit: '% of the peak', atLeast: 90 },
        // That it collapses is what the comparison is to show.
        { name: 'the same without control', value: share(uncontrolled), unit: '% of the peak', atMost: 50 },
        { name: 'recovery after the flood', value: controlled.recoverySeconds, unit: 's', atMost: 10 },
        { name: 'the same without control', value: uncontrolled.recoverySeconds, unit: 's' },
      ],
    }
  } finally {
    keys.end()
    await home.link.close()
  }
}
