import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { lineUp } from '../../src/adapters/connection-line.ts'
import { doorOf } from '../../src/adapters/door.ts'
import { until } from '../fixtures/until.ts'

/*
 * Proves: however many connect at once, the event loop has a turn for everybody else between one stranger and the next, and
 * between one dear step for them and the next, and its turn is before theirs; steps are done in order, before anybody else is let in; only so many strangers are
 * past the line, more as long as the loop has time for them and fewer when it has not; who has proved itself or has gone makes
 * room for the next, in the order in which they came; who finds the
 * line full is turned away until half of those who waited are in, or have left; a line that closes leaves nobody standing. Real sockets.
 */
const test = suite('connection line')
const endings: (() => void)[] = []
test.after.each(() => {
  for (const end of endings.splice(0)) end()
})

interface Rig {
  readonly taken: Socket[]
  readonly timesShut: () => number
  readonly line: ReturnType<typeof lineUp>
  /** A client, once its connection stands; `ended` when it does not any more. */
  connect(): Promise<{ readonly socket: Socket; readonly hasEnded: () => boolean }>
}

async function rig(
  options: { readonly most: number; readonly longest: number; readonly before?: () => void },
  took: () => void = () => {},
): Promise<Rig> {
  const taken: Socket[] = []
  let timesShut = 0
  const server: Server = createServer(socket => {
    socket.on('error', () => {})
    taken.push(socket)
    took()
  })
  const door = doorOf(server, '127.0.0.1', { shut: () => timesShut++ })
  const line = lineUp(server, { door, ...options })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  endings.push(() => {
    line.close()
    door.close()
    for (const socket of taken) socket.destroy()
  })
  return {
    taken,
    timesShut: () => timesShut,
    line,
    async connect() {
      const socket = connect(port, '127.0.0.1')
      let hasEnded = false
      socket.on('error', () => {})
      socket.on('close', () => {
        hasEnded = true
      })
      endings.push(() => socket.destroy())
      // Who is turned away at once may hear of nothing but that.
      await new Promise(resolve => socket.once('connect', resolve).once('close', resolve))
      return { socket, hasEnded: () => hasEnded }
    },
  }
}

test('lets in one a turn, however many are there', async () => {
  let turn = 0
  const next = () => {
    turn += 1
    immediate = setImmediate(next)
  }
  let immediate = setImmediate(next)
  endings.push(() => clearImmediate(immediate))
  const turns: number[] = []
  const { connect, taken } = await rig({ most: 100, longest: 100 }, () => turns.push(turn))
  await Promise.all(Array.from({ length: 60 }, connect))
  await until(() => taken.length === 60, { what: 'all are let in' })
  assert.is(new Set(turns).size, 60)
})

test('lets in who came first when a stranger proves itself or goes, and turns away who finds the line full', async () => {
  const { connect, taken, timesShut, line } = await rig({ most: 2, longest: 3 })
  const clients: Awaited<ReturnType<typeof connect>>[] = []
  for (let index = 0; index < 5; index++) clients.push(await connect())
  await until(() => taken.length === 2, { what: 'two are let in' })
  const late = await connect()
  await until(() => late.hasEnded(), { what: 'who finds the line full is turned away' })
  assert.is(timesShut(), 1)
  assert.is(taken.length, 2)

  const portsIn = () => taken.map(({ remotePort }) => remotePort)
  const [first, second] = taken as [Socket, Socket]
  line.passed(first)
  await until(() => taken.length === 3, { what: 'there is room for one who proved itself' })
  const later = await connect()
  await until(() => later.hasEnded(), { what: 'more than half of the line still waits' })
  second.destroy()
  await until(() => taken.length === 4 && clients[1]?.hasEnded(), { what: 'there is room for one who went' })
  assert.equal(
    portsIn().slice(2),
    clients.slice(2, 4).map(({ socket }) => socket.localPort),
  )
  assert.equal(
    clients.map(({ hasEnded }) => hasEnded()),
    [false, true, false, false, false],
  )
  const next = await connect()
  assert.not(next.hasEnded(), 'with half of those who waited let in there is room in the line')
})

test('who leaves the line harms nobody, and makes room', async () => {
  const { connect, taken, timesShut, line } = await rig({ most: 1, longest: 4 })
  await connect()
  await until(() => taken.length === 1, { what: 'one is let in' })
  const waiting = [await connect(), await connect(), await connect(), await connect()]
  await until(() => timesShut() === 1, { what: 'the line is full' })
  const [first, second, third] = waiting
  first?.socket.resetAndDestroy()
  third?.socket.resetAndDestroy()
  let late = await connect()
  await until(
    async () => {
      if (late.hasEnded()) late = await connect()
      return !late.hasEnded()
    },
    { what: 'half of the line is free' },
  )
  line.passed(taken[0] as Socket)
  await until(() => taken.length === 2, { what: 'the next is let in' })
  assert.is(taken[1]?.remotePort, second?.socket.localPort, 'and nobody who has gone')
})

test('lets in fewer at once while the loop is busy, and more again when it has time, however silent they are', async () => {
  const { connect, taken } = await rig({ most: 130, longest: 400 })
  const next = () => {
    spend(2)
    immediate = setImmediate(next)
  }
  let immediate = setImmediate(next)
  endings.push(() => clearImmediate(immediate))
  await Promise.all(Array.from({ length: 400 }, connect))
  await until(() => taken.length === 130, { what: 'as many as may be are let in' })
  const inside = () => taken.filter(({ destroyed }) => !destroyed)
  const leaving = setInterval(() => inside()[0]?.destroy(), 25)
  endings.push(() => clearInterval(leaving))
  await until(() => inside().length <= 40, { what: 'not everybody who goes is followed by another' })
  clearInterval(leaving)
  assert.ok(taken.length < 350, 'some still wait')
  clearImmediate(immediate)
  await until(() => inside().length === 130, { what: 'as many as may be are inside again' })
})

test('does steps in their order, as many in a turn as fit it, and lets nobody in before those inside are served', async () => {
  const { connect, line, taken } = await rig({ most: 10, longest: 10 })
  let turn = 0
  const next = () => {
    turn += 1
    immediate = setImmediate(next)
  }
  let immediate = setImmediate(next)
  endings.push(() => clearImmediate(immediate))
  const done: { readonly step: number; readonly turn: number; readonly isAlone: boolean }[] = []
  for (let step = 0; step < 40; step++) {
    line.step(() => {
      if (step < 20) spend(2)
      done.push({ step, turn, isAlone: taken.length === 0 })
    })
  }
  await connect()
  await until(() => done.length === 40 && taken.length === 1, { what: 'all is done' })
  assert.equal(
    done.map(({ step }) => step),
    Array.from({ length: 40 }, (_, step) => step),
  )
  assert.ok(done.every(({ isAlone }) => isAlone))
  const dear = done.slice(0, 20).map(({ turn }) => turn)
  assert.is(new Set(dear).size, 20, 'each dear one has a turn of its own')
})

function spend(ms: number): void {
  const endMs = performance.now() + ms
  while (performance.now() < endMs);
}

test('whatever else is to be done in a turn is done before a step', async () => {
  const seen: string[] = []
  const { line } = await rig({ most: 10, longest: 10, before: () => seen.push('others') })
  for (const name of ['first', 'second']) {
    line.step(() => {
      spend(2)
      seen.push(name)
    })
  }
  await until(() => seen.length >= 4, { what: 'both are done' })
  assert.equal(seen.slice(0, 4), ['others', 'first', 'others', 'second'])
})

test('what a step sets off in microtasks is done before the next', async () => {
  const { line } = await rig({ most: 10, longest: 10 })
  const seen: string[] = []
  for (const name of ['first', 'second']) {
    line.step(async () => {
      seen.push(`${name} begins`)
      for (let hop = 0; hop < 5; hop++) await undefined
      seen.push(`${name} ends`)
    })
  }
  await until(() => seen.length === 4, { what: 'both are done' })
  assert.equal(seen, ['first begins', 'first ends', 'second begins', 'second ends'])
})

test('leaves nobody standing when it closes, and does no step any more', async () => {
  const { connect, line, taken } = await rig({ most: 1, longest: 10 })
  const inside = await connect()
  const waiting = await connect()
  await until(() => taken.length === 1, { what: 'one is let in' })
  let isDone = false
  line.step(() => {
    isDone = true
  })
  line.close()
  await until(() => waiting.hasEnded(), { what: 'who waited is turned away' })
  const late = await connect()
  await until(() => late.hasEnded(), { what: 'who comes is turned away' })
  assert.not(inside.hasEnded())
  assert.not(isDone)
})

test.run()
