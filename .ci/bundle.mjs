// Makes the command `cpns` of the package one program, with all that it needs but what is machine code: loading two thousand
// small files took longer than all else of a start. Its parts are loaded when they are needed. What it contains of others is named
// beside it, with their licences.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const entries = ['src/cli/main.ts', 'src/adapters/sqlite-search-thread.ts']

/** @param folder as deep in dist as the sources are in src: they find files of the package relative to themselves */
export async function bundleCommand(folder) {
  const { metafile } = await build({
    entryPoints: entries,
    entryNames: '[name]',
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22.18',
    external: ['classic-level'],
    // Dependencies that are CommonJS ask for modules of Node.
    banner: {
      js: `${secondLine()}\nimport { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);`,
    },
    metafile: true,
    logLevel: 'warning',
  })
  writeFileSync(join(folder, 'third-party-licences.txt'), noticesOf(Object.keys(metafile.inputs)))
}

/** How a shell starts Node with the program: it has to stay where it is. */
const secondLine = () => readFileSync('src/cli/main.ts', 'utf8').split('\n')[1]

/** The licence of each package that one of the files is of. */
function noticesOf(files) {
  const folders = new Set(files.flatMap(file => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []))
  const notices = [...folders].sort().map(noticeOf)
  return `The files beside this one contain these packages.\n\n${[...new Set(notices)].join('\n')}`
}

function noticeOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const texts = readdirSync(folder).filter(file => /^(licen[cs]e|notice|copying)/i.test(file))
  if (license === undefined && texts.length === 0) throw new Error(`${name} has no licence: it cannot be shipped.`)
  const whole = texts.map(text => readFileSync(join(folder, text), 'utf8').trim())
  return `── ${name} ${version} (${license ?? 'see below'})\n\n${whole.join('\n\n')}\n`
}
