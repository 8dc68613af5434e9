import { nodeCrypto } from '../../adapters/crypto.ts'
import { exists, readText } from '../../adapters/files.ts'
import type { Host } from '../../adapters/host.ts'
import {
  InvalidManifest,
  parseManifest,
  rootFingerprint,
  type SignedManifest,
  verifyManifest,
} from '../../federation/manifest.ts'
import type { Configuration } from '../configuration-schema.ts'
import { type Finding, findingsOn } from './finding.ts'
import { tcpOf } from './machine.ts'

/*
 * Manifests: what this operator and those that it trusts say about themselves, and whether that leads anywhere.
 */

const dayMs = 86_400_000
/** To sign the next one a root key has to be fetched, and others have to hear of it. */
const warnBeforeMs = 30 * dayMs
const skewWarningMs = 5_000
/** Time stamps settle what concurrent writes mean: a clock that is wrong by more gives its operator's an unfair weight. */
const skewFaultMs = 60_000

/** @throws {FileProblem} {@link InvalidManifest} */
export async function readTrusted(file: string, pin: string | undefined): Promise<SignedManifest> {
  const signed = parseManifest(await readText(file))
  const crypto = nodeCrypto()
  verifyManifest(signed, crypto)
  const fingerprint = rootFingerprint(signed.manifest, crypto)
  // Root keys change: a manifest that came after the pinned one leads back to it only along those between.
  if (pin === fingerprint || signed.manifest.seq > 1) return signed
  throw new InvalidManifest(
    'root',
    `${file} has root keys ${fingerprint}, not those that are pinned: ${pin ?? 'none are'}.`,
  )
}

export function examineExpiry(
  { manifest }: SignedManifest,
  examined: 'manifest' | 'peers',
  host: Host,
  advice: string,
): Finding {
  const on = findingsOn(examined)
  const leftMs = manifest.expires - host.now()
  const which = `Manifest ${manifest.seq} of ${manifest.operator}`
  const days = Math.floor(Math.abs(leftMs) / dayMs)
  if (leftMs <= 0) return on.fault(`${which} has run out ${days} days ago.`, advice)
  if (leftMs < warnBeforeMs) return on.warning(`${which} runs out in ${days} days.`, advice)
  return on.good(`${which} is good for ${days} days.`)
}

/** Each operator that is pinned, but this one: whether its manifest is there, good, and says where it is. */
export async function examinePeers(
  { operator, trust, peers }: Configuration,
  at: (path: string) => string,
  host: Host,
): Promise<{ readonly findings: readonly Finding[]; readonly manifests: readonly SignedManifest[] }> {
  const on = findingsOn('peers')
  const findings: Finding[] = []
  const manifests: SignedManifest[] = []
  for (const [name, pin] of Object.entries(trust)) {
    if (name === operator) continue
    const file = at(`${peers.folder}/${name}.json`)
    const again = `Get the newest manifest of ${name}, and run: cpns peer trust FILE`
    if (!(await exists(file))) {
      findings.push(on.fault(`${name} is trusted, and its manifest is not there: ${file}.`, again))
      continue
    }
    try {
      const signed = await readTrusted(file, pin)
      manifests.push(signed)
      findings.push(examineExpiry(signed, 'peers', host, again))
    } catch (error) {
      findings.push(on.failed(error, again))
    }
  }
  if (findings.length === 0) findings.push(on.good('No other operator is trusted.'))
  return { findings, manifests }
}

/** Whether any server of each operator answers, and what time it is there. */
export async function examineReach(manifests: readonly SignedManifest[], host: Host): Promise<Finding[]> {
  const all = await Promise.all(manifests.map(signed => examineOperator(signed, host)))
  return all.flat()
}

async function examineOperator({ manifest }: SignedManifest, host: Host): Promise<Finding[]> {
  const on = findingsOn('reach')
  const places = manifest.servers.flatMap(({ addresses }) => addresses).flatMap(address => tcpOf(address) ?? [])
  const reached = await Promise.all(places.map(place => host.reaches(place.host, place.port)))
  const count = reached.filter(Boolean).length
  const found = `${count} of ${places.length} addresses of ${manifest.operator} answer.`
  const reach =
    count > 0 || places.length === 0
      ? on.good(found)
      : on.warning(found, `Ask ${manifest.operator} whether it is up, and see that no firewall is between.`)
  const urls = manifest.servers.flatMap(({ clientUrls }) => clientUrls)
  const ahead = (await Promise.all(urls.map(url => host.clockAheadMs(url)))).filter(each => each !== undefined)
  return ahead.length === 0 ? [reach] : [reach, examineSkew(manifest.operator, ahead)]
}

function examineSkew(operator: string, aheadMs: readonly number[]): Finding {
  const on = findingsOn('clock')
  const skewMs = [...aheadMs].sort((a, b) => a - b)[aheadMs.length >> 1] ?? 0
  const found = `This clock is ${Math.abs(skewMs / 1_000).toFixed(1)} s ${skewMs < 0 ? 'behind' : 'ahead of'} that of ${operator}.`
  if (Math.abs(skewMs) < skewWarningMs) return on.good(found)
  const advice = 'Have both machines follow a time server (NTP).'
  return Math.abs(skewMs) < skewFaultMs ? on.warning(found, advice) : on.fault(found, advice)
}

/** Nobody's manifest was signed in the future. */
export function examineClock(manifests: readonly SignedManifest[], host: Host): Finding {
  const on = findingsOn('clock')
  const latest = manifests.map(({ manifest }) => manifest).sort((a, b) => b.issued - a.issued)[0]
  if (!latest || latest.issued <= host.now() + skewWarningMs) return on.good('No manifest was signed in the future.')
  return on.fault(
    `By this clock manifest ${latest.seq} of ${latest.operator} was signed in the future.`,
    'Set the clock, and have it follow a time server (NTP).',
  )
}
