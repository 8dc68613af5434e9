import { Command } from 'commander'
import { thisHost } from '../adapters/host.ts'
import { examine } from '../operations/doctor/examine.ts'
import type { Finding, Gravity } from '../operations/doctor/finding.ts'
import { configOption, jsonOption, setOption } from './options.ts'
import { patientOf } from './patient.ts'

interface Asked {
  readonly config: string
  readonly set: Readonly<Record<string, string>>
  readonly json?: true
}

/** `cpns doctor`: what is wrong, or soon will be, with this server, its machine and its surroundings; exits with 1 for a fault. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Examines settings, keys, manifests, peers, clock, disk, ports and limits, and says what to do.')
    .addOption(configOption())
    .addOption(setOption())
    .addOption(jsonOption())
    .action(async ({ config, set, json }: Asked) => {
      const findings = await examine(patientOf({ config, set }), thisHost())
      if (json) console.log(JSON.stringify(findings))
      else for (const line of findings.map(shown)) console.log(line)
      if (findings.some(({ gravity }) => gravity === 'fault')) process.exitCode = 1
    })
}

const signs: Readonly<Record<Gravity, string>> = { good: '✓', warning: '!', fault: '✗' }
const widest = 'subscribers'.length

const shown = ({ examined, gravity, found, advice }: Finding): string =>
  `${signs[gravity]} ${examined.padEnd(widest)}  ${found}${advice === undefined ? '' : `\n${' '.repeat(widest + 4)}→ ${advice}`}`
