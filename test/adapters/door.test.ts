import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { doorOf } from '../../src/adapters/door.ts'
import { until } from '../fixtures/until.ts'

/*
 * Proves: while its door is shut a server's port refuses whoever comes, those whom it has taken stay, and opened it is the same port
 * again; who asks twice gets no more than once; if another program took the port it is told once, and got back when that has gone; a
 * door that was closed opens no more; a port that might not be got back is never given up; an HTTP server goes on with the connections that
 * it has, and to look which are too slow; once opened again it leaves few to the system, which would be ended all at once. Real sockets.
 */
const test = suite('door')
const endings: (() => void)[] = []
test.after.each(() => {
  for (const end of endings.splice(0)) end()
})

async function listening(port = 0): Promise<Server & { readonly port: number }> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  endings.push(() => server.close())
  return Object.assign(server, { port: (server.address() as AddressInfo).port })
}

async function rig(options: { readonly firstFreePort?: number } = {}) {
  const told: string[] = []
  const server = createServer()
  const door = doorOf(server, '127.0.0.1', {
    ...options,
    shut: () => told.push('shut'),
    lost: ({ message }) => told.push(/EADDRINUSE/.exec(message)?.[0] ?? message),
    regained: () => told.push('regained'),
  })
  const taken: Socket[] = []
  server.on('connection', socket => taken.push(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  endings.push(() => {
    door.close()
    for (const socket of taken) socket.destroy()
  })
  return { server, door, port, told, taken }
}

/** How an attempt to connect ends. */
function attempt(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  endings.push(() => socket.destroy())
  return new Promise(resolve => {
    socket.once('connect', () => resolve('connected'))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}

const isOpen = (port: number) => async () => (await attempt(port)) === 'connected'

test('refuses who comes while it is shut, keeps who is in, and opens at the same port', async () => {
  const { door, port, told, taken } = await rig()
  assert.is(await attempt(port), 'connected')
  await until(() => taken.length === 1, { what: 'the first is in' })
  door.shut()
  door.shut()
  assert.is(await attempt(port), 'ECONNREFUSED')
  assert.not(taken[0]?.destroyed)
  door.open()
  door.open()
  await until(isOpen(port), { what: 'it is open again' })
  door.shut()
  assert.is(await attempt(port), 'ECONNREFUSED')
  assert.equal(told, ['shut', 'shut'])
})

test('opened again leaves few to the system that it has not taken', async () => {
  const { door, port } = await rig()
  door.shut()
  door.open()
  await until(isOpen(port), { what: 'it is open again' })
  let settled = 0
  for (let number = 0; number < 300; number++) void attempt(port).then(() => (settled += 1))
  // All of them have called by then, and nobody was taken yet.
  process.nextTick(door.shut)
  await until(() => settled > 0, { what: 'the first of them are ended' })
  await until(async () => (await attempt(port)) === 'ECONNREFUSED', { what: 'nobody else comes in' })
  assert.ok(settled < 150, `${settled} of 300 were taken by the system`)
})

test('tells once that the port was taken by another, and gets it back', async () => {
  const { server, door, port, told } = await rig()
  door.shut()
  const other = await listening(port)
  door.open()
  await until(() => told.length === 2, { what: 'the port is lost' })
  await new Promise(resolve => server.once('error', resolve))
  assert.equal(told, ['shut', 'EADDRINUSE'])
  other.close()
  await until(() => told.length === 3, { what: 'the port is regained' })
  assert.equal(told, ['shut', 'EADDRINUSE', 'regained'])
  assert.is(await attempt(port), 'connected')
})

test('opens no more once it is closed, wherever it was', async () => {
  const [open, shut, opening, lost] = [await rig(), await rig(), await rig(), await rig()]
  shut.door.shut()
  lost.door.shut()
  const other = await listening(lost.port)
  lost.door.open()
  await until(() => lost.told.length === 2, { what: 'the port is lost' })
  opening.door.shut()
  opening.door.open()
  for (const { door } of [open, shut, opening, lost]) {
    door.close()
    door.open()
    door.shut()
  }
  other.close()
  // Longer than it takes until a lost port is tried again.
  await new Promise(resolve => setTimeout(resolve, 250))
  for (const { server } of [open, shut, opening, lost]) assert.not(server.listening)
})

test('never gives a port up that might not be got back, and lets nobody in meanwhile all the same', async () => {
  const { server, door, port, taken } = await rig({ firstFreePort: 65_536 })
  door.shut()
  assert.ok(server.listening)
  const late = connect(port, '127.0.0.1')
  late.on('error', () => {})
  await once(late, 'close')
  assert.is(taken.length, 0)
  door.open()
  assert.is(await attempt(port), 'connected')
})

/** An HTTP server whose door is shut and opened again and again. */
async function swinging(options: { readonly headersTimeout?: number } = {}) {
  const server = createHttpServer({ ...options, connectionsCheckingInterval: 200 }, (_, response) =>
    response.end('here'),
  )
  const door = doorOf(server, '127.0.0.1')
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const swing = setInterval(() => {
    door.shut()
    door.open()
  }, 20)
  endings.push(() => {
    clearInterval(swing)
    door.close()
    server.closeAllConnections()
  })
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => {})
  endings.push(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

test('an HTTP server drops who is slow all the same, however often its door is shut', async () => {
  const socket = await swinging({ headersTimeout: 100 })
  socket.resume()
  socket.write('GET / HTTP/1.1\r\nHost: ')
  await until(() => socket.closed, { what: 'the slow one is dropped' })
})

test('an HTTP server keeps connections that wait for their next request', async () => {
  const socket = await swinging()
  let heard = ''
  socket.on('data', data => {
    heard += data.toString()
  })
  for (let request = 1; request <= 3; request++) {
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await until(() => heard.split('here').length > request, { what: 'an answer' })
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  assert.not(socket.closed)
})

test.run()
