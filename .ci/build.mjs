// Compiles src to dist, which the package ships: Node does not strip types below node_modules.
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, rmSync } from 'node:fs'
import { build } from 'esbuild'
import { consoleBuild, consoleFiles } from '../src/adapters/console-page.ts'

rmSync('dist', { recursive: true, force: true })
const { status } = spawnSync('tsc', ['--project', '.config/tsconfig.build.json'], { stdio: 'inherit', shell: true })
if (status !== 0) process.exit(status ?? 1)
chmodSync('dist/cli/main.js', 0o755)
const page = 'operations/console/page'
await build({ ...consoleBuild(`src/${page}/page.ts`), outfile: `dist/${page}/page.js` })
for (const file of consoleFiles) copyFileSync(`src/${page}/${file}`, `dist/${page}/${file}`)
