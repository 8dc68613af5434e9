import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'

/*
 * A real Chromium, of one version everywhere: it comes with the dependencies, packed, with the libraries and the fonts that
 * it needs beside those of every Linux. Unpacked once, in about two seconds, it is kept below node_modules.
 */

const folder = join(import.meta.dirname, '../../node_modules')

/** Whether this machine can run it: it is built for Linux on x86-64. */
export const chromiumRunsHere = process.platform === 'linux' && process.arch === 'x64'

/** @throws when it cannot be unpacked or does not start. Whoever starts it closes it. */
export async function startChromium(): Promise<Browser> {
  const unpacked = await unpack()
  return chromium.launch({
    executablePath: join(unpacked, 'chromium'),
    env: {
      ...process.env,
      LD_LIBRARY_PATH: join(unpacked, 'al2023/lib'),
      FONTCONFIG_PATH: join(unpacked, 'fonts'),
      XDG_CACHE_HOME: join(unpacked, 'cache'),
    },
  })
}

/** Its own fonts and no others, wherever it was unpacked: pages look the same everywhere. */
const fontsBesideIt = `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir prefix="relative">fonts</dir><cachedir prefix="xdg">fonts</cachedir></fontconfig>
`

/** The folder in which it lies unpacked. Two processes that unpack at once both get a whole one. */
async function unpack(): Promise<string> {
  const { version } = JSON.parse(await readFile(join(folder, '@sparticuz/chromium/package.json'), 'utf8'))
  const unpacked = join(folder, '.cache', `chromium-${version}`)
  if (existsSync(unpacked)) return unpacked
  await mkdir(join(folder, '.cache'), { recursive: true })
  const draft = await mkdtemp(`${unpacked}-`)
  // It unpacks into the folder for temporary files, and the libraries only where it takes itself to be on AWS.
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', 'await (await import("@sparticuz/chromium")).default.executablePath()'],
    { env: { ...process.env, TMPDIR: draft, AWS_LAMBDA_JS_RUNTIME: 'nodejs22.x' }, cwd: import.meta.dirname },
  )
  if (status !== 0) throw new Error(`Chromium cannot be unpacked: ${stderr}`)
  await writeFile(join(draft, 'fonts/fonts.conf'), fontsBesideIt)
  await rename(draft, unpacked).catch(async error => {
    await rm(draft, { recursive: true })
    if (!existsSync(unpacked)) throw error
  })
  return unpacked
}
