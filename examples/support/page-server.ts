import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { build } from 'esbuild'

export interface PageServer {
  readonly url: string
  close(): Promise<void>
}

/** A page without content, for programs that need none. */
const emptyPage = '<!doctype html><meta charset="utf-8"><title>cpns</title>'

/**
 * Serves one page on loopback, with one program bundled as it would be for any browser: a bundle that needs something of Node
 * fails here.
 * @param program path of its source; the page finds it as `program.js`
 * @param html path of the page; absent: an empty one that loads the program
 * @param settings what the page finds as `settings.json` when it asks
 */
export async function servePage(options: {
  readonly program: string
  readonly html?: string
  readonly settings?: () => unknown
  readonly port?: number
}): Promise<PageServer> {
  const { program, html, settings = () => ({}), port = 0 } = options
  const bundle = await build({
    entryPoints: [program],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2024',
    sourcemap: 'inline',
    logLevel: 'silent',
  })
  const [script] = bundle.outputFiles
  const page = html ? await readFile(html) : `${emptyPage}<script type="module" src="program.js"></script>`
  const files = new Map([
    ['/', { type: 'text/html', body: page }],
    ['/program.js', { type: 'text/javascript', body: script?.contents ?? '' }],
  ])
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://page')
    const file =
      pathname === '/settings.json'
        ? { type: 'application/json', body: JSON.stringify(settings()) }
        : files.get(pathname)
    if (!file) {
      response.writeHead(404).end()
      return
    }
    response
      .writeHead(200, { 'content-type': `${file.type}; charset=utf-8`, 'cache-control': 'no-store' })
      .end(file.body)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
