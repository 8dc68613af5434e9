// Installs the dependencies when they are missing or older than the lock file; says so, since it can take a while.
// Runs on whatever Node the machine has: the scripts that follow it find the pinned Node 24 first on their path.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'

const installed = 'node_modules/.package-lock.json'
const fresh =
  existsSync(installed) &&
  existsSync('node_modules/.bin/node') &&
  statSync(installed).mtimeMs >= statSync('package-lock.json').mtimeMs

if (!fresh) {
  console.error('Installing dependencies (once, about a minute) …')
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const { status } = spawnSync(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  })
  if (status !== 0) {
    console.error('npm ci failed; run it by hand to see why.')
    process.exit(status ?? 1)
  }
}
