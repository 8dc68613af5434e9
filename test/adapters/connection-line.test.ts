import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { lineUp } from '../../src/adapters/connection-line.ts'
import { until } from '../fixtures/until.ts'

/*
 * Proves: however many connect at once, the event loop has a turn for everybody else between one stranger and the next; only so
 * many strangers are past the line, and who has proved itself or has gone makes room for the next, in the order in which they
 * came; who finds the line full is turned away, and told from; a line that closes leaves nobody standing. Real sockets.
 */
const test = suite('connection line')
const endings: (() => void)[] = []
test.after.each(() => {
  for (const end of endings.splice(0)) end()
})

interface Rig {
  readonly taken: Socket[]
  readonly turnedAway: () => number
  readonly line: ReturnType<typeof lineUp>
  /** A client, once its connection stands; `ended` when it does not any more. */
  connect(): Promise<{ readonly socket: Socket; readonly hasEnded: () => boolean }>
}

async function rig(
  options: { readonly begin?: number; readonly least?: number; readonly most: number; readonly longest: number },
  took: () => void = () => {},
): Promise<Rig> {
  const taken: Socket[] = []
  let turnedAway = 0
  const server: Server = createServer(socket => {
    socket.on('error', () => {})
    taken.push(socket)
    took()
  })
  const { most, begin = most, least = most, longest } = options
  const line = lineUp(server, { turnedAway: () => turnedAway++, longest, atOnce: { begin, least, most } })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  endings.push(() => {
    line.close()
    for (const socket of taken) socket.destroy()
    server.close()
  })
  return {
    taken,
    turnedAway: () => turnedAway,
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
  const { connect, taken, turnedAway, line } = await rig({ most: 2, longest: 3 })
  const clients: Awaited<ReturnType<typeof connect>>[] = []
  for (let index = 0; index < 5; index++) clients.push(await connect())
  await until(() => taken.length === 2, { what: 'two are let in' })
  const late = await connect()
  await until(() => late.hasEnded(), { what: 'who finds the line full is turned away' })
  assert.is(turnedAway(), 1)
  assert.is(taken.length, 2)

  const portsIn = () => taken.map(({ remotePort }) => remotePort)
  const [first, second] = taken as [Socket, Socket]
  line.passed(first)
  await until(() => taken.length === 3, { what: 'there is room for one who proved itself' })
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
})

test('has fewer strangers at once where they take long, and more where they do not', async () => {
  const letIn = async (atLeast: number, work: () => void) => {
    const { connect, taken } = await rig({ begin: 4, least: 1, most: 100, longest: 100 }, work)
    await Promise.all(Array.from({ length: 20 }, connect))
    await until(() => taken.length >= atLeast, { what: 'as many as may be are let in' })
    // Who could come in now has, once the loop has been round for each.
    for (let turn = 0; turn < 40; turn++) await new Promise(resolve => setImmediate(resolve))
    return taken.length
  }
  assert.is(await letIn(3, () => work(25)), 3)
  await letIn(5, () => {})
})

function work(processorMs: number): void {
  const begun = process.cpuUsage()
  for (;;) {
    const { user, system } = process.cpuUsage(begun)
    if ((user + system) / 1000 >= processorMs) return
  }
}

test('leaves nobody standing when it closes', async () => {
  const { connect, line, taken } = await rig({ most: 1, longest: 10 })
  const inside = await connect()
  const waiting = await connect()
  await until(() => taken.length === 1, { what: 'one is let in' })
  line.close()
  await until(() => waiting.hasEnded(), { what: 'who waited is turned away' })
  const late = await connect()
  await until(() => late.hasEnded(), { what: 'who comes is turned away' })
  assert.not(inside.hasEnded())
})

test.run()
