// Compiles src to dist, which the package ships: Node does not strip types below node_modules.
import { spawnSync } from 'node:child_process'
import { chmodSync, rmSync } from 'node:fs'

rmSync('dist', { recursive: true, force: true })
const { status } = spawnSync('tsc', ['--project', '.config/tsconfig.build.json'], { stdio: 'inherit', shell: true })
if (status !== 0) process.exit(status ?? 1)
chmodSync('dist/cli/main.js', 0o755)
