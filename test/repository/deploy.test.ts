/*
 * Property: what examples/deploy gives an operator is true and safe. The unit of systemd is one by systemd's own judgement, its server has
 * no privilege and little to attack, gets the time that a drain takes, and is started again when its disk has failed; the
 * container runs without root and hears SIGTERM; and every `cpns …` in them is a command that there is.
 */
import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { cpnsProgram } from '../../src/cli/program.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'

const textOf = (name: string) =>
  readFile(fileURLToPath(new URL(`../../examples/deploy/${name}`, import.meta.url)), 'utf8')

/** Settings of a unit, each with all that is said of it. */
function settingsOf(unit: string): Map<string, string[]> {
  const settings = new Map<string, string[]>()
  for (const [, name = '', value = ''] of unit.matchAll(/^(\w+)=(.*)$/gm))
    settings.set(name, [...(settings.get(name) ?? []), value])
  return settings
}

/** Fails unless there is a command of this name with all of these options. */
function assertCommand(words: readonly string[]): void {
  let command: Command = cpnsProgram()
  for (const word of words.filter(each => !each.startsWith('-'))) {
    const child = command.commands.find(each => each.name() === word)
    if (child) command = child
  }
  assert.is(command.commands.length, 0, `cpns ${words.join(' ')} is no command`)
  const known = command.options.flatMap(({ long }) => long ?? [])
  for (const option of words.filter(each => each.startsWith('--'))) assert.ok(known.includes(option), option)
}

test('the unit drains, starts again after a fault, and has no privilege', async () => {
  const unit = settingsOf(await textOf('cpns.service'))
  const only = (name: string) => {
    assert.is(unit.get(name)?.length, 1, name)
    return unit.get(name)?.[0] ?? ''
  }
  assert.is(only('User'), 'cpns')
  assert.is(only('KillSignal'), 'SIGTERM')
  // Clients and other servers have ten seconds each by themselves, and what is under way as much again.
  assert.ok(Number(only('TimeoutStopSec')) >= 45)
  assert.is(only('Restart'), 'on-failure')
  assert.not(only('RestartPreventExitStatus').split(' ').includes('75'), 'after a failed disk it is to start again')
  assert.ok(Number(only('LimitNOFILE')) >= 20_480, 'as the doctor wants it')
  assert.is(only('CapabilityBoundingSet'), '')
  for (const name of ['NoNewPrivileges', 'PrivateDevices', 'ProtectHome', 'ProtectKernelModules', 'RestrictSUIDSGID'])
    assert.is(only(name), 'yes', name)
  assert.is(only('ProtectSystem'), 'strict')
  const reloads = unit.get('ExecReload') ?? []
  assert.is(reloads.length, 2, 'examined first')
  for (const line of [only('ExecStart'), only('ExecStartPre'), ...reloads]) assertCommand(line.split(' ').slice(1))
})

test('systemd finds no fault with it, and little to attack', async () => {
  if (spawnSync('systemd-analyze', ['--version']).status !== 0) return
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'cpns.service')
  // The command is not installed here.
  await writeFile(file, (await textOf('cpns.service')).replaceAll('/usr/local/bin/cpns', process.execPath))
  const verified = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' })
  assert.is(verified.stderr, '')
  assert.is(verified.status, 0)
  const judged = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', file], {
    encoding: 'utf8',
  })
  assert.is(judged.status, 0, judged.stdout.split('\n').slice(-3).join('\n'))
})

test('the container runs without root, hears SIGTERM, and runs commands that there are', async () => {
  const text = (await textOf('Containerfile')).replaceAll('\\\n', ' ')
  const lines = text.split('\n').filter(line => /^[A-Z]/.test(line))
  const last = (instruction: string) =>
    lines.findLast(line => line.startsWith(`${instruction} `))?.slice(instruction.length + 1)
  assert.match(last('USER') ?? '', /^[1-9]\d*:[1-9]\d*$/)
  assert.is(last('STOPSIGNAL'), 'SIGTERM')
  assert.equal(JSON.parse(last('ENTRYPOINT') ?? ''), ['cpns'], 'the server itself is the first process')
  assertCommand(JSON.parse(last('CMD') ?? ''))
  const [, check = ''] = /CMD (\[.*\])$/.exec(last('HEALTHCHECK') ?? '') ?? []
  assertCommand(JSON.parse(check).slice(1))
  for (const from of lines.filter(line => line.startsWith('FROM ')))
    assert.match(from, /^FROM [\w.]+\/[\w./-]+:[\w.-]+( AS \w+)?$/)
})

test.run()
