// Makes dist of src, which the package ships: the modules that programs import, since Node does not strip types below node_modules,
// and the command.
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, rmSync } from 'node:fs'
import { build } from 'esbuild'
import { consoleBuild, consoleFiles } from '../src/adapters/console-page.ts'
import { bundleCommand } from './bundle.mjs'

rmSync('dist', { recursive: true, force: true })
const { status } = spawnSync('tsc', ['--project', '.config/tsconfig.build.json'], { stdio: 'inherit', shell: true })
if (status !== 0) process.exit(status ?? 1)
await bundleCommand('dist/cli')
chmodSync('dist/cli/main.js', 0o755)
const page = 'operations/console/page'
await build({ ...consoleBuild(`src/${page}/page.ts`), outfile: `dist/${page}/page.js` })
for (const file of consoleFiles) copyFileSync(`src/${page}/${file}`, `dist/${page}/${file}`)
