/*
 * Property: the `WebsocketProvider` of y-websocket as it comes from the registry, with nothing but what `session.ticket`
 * answers, reads the inventory of a Personal Network from a real server while it changes; what it writes is refused, with
 * the protocol's own message, and changes nothing; and when the document is compacted it reads on, right, and holds nothing
 * of what was erased, as a fresh one does. It would fail if the server
 * spoke a dialect of its own, took a client's content, or left erased content in what it sends.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import {
  documentId,
  documentOpen,
  effectiveInventory,
  type Inventory,
  operatorId,
  pnEstablish,
  pnInventory,
  pnRelease,
  pnUpdate,
  readRegisters,
  type Session,
  sessionTicket,
} from '../../src/client/node.ts'
import { until } from '../fixtures/until.ts'
import { establish, newCommand, openStage, type Stage } from './stage.ts'

const home = operatorId('a.example')
const network = { home, pnId: 'home' }
const document = documentId({ kind: 'pn', owner: home, pnId: network.pnId })

/** A stock provider and what it has come to know. */
function provide(stage: Stage, { url, ticket }: { readonly url: string; readonly ticket: string }) {
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(url, document, doc, {
    params: { ticket },
    disableBc: true,
    WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
    maxBackoffTime: 100,
  })
  const destroy = () => {
    provider.destroy()
    doc.destroy()
  }
  stage.atEnd(destroy)
  const closes: number[] = []
  const denials: string[] = []
  provider.on('connection-close', event => closes.push(event?.code ?? 0))
  // y-protocols/auth: type 0 is "permission denied", with the reason as a string after it.
  provider.messageHandlers[2] = (_encoder, decoder) => {
    denials.push(new TextDecoder().decode(decoder.arr.subarray(decoder.pos)))
    decoder.pos = decoder.arr.length
  }
  return {
    provider,
    doc,
    destroy,
    closes,
    denials,
    synced: () => until(() => provider.synced, { what: 'the provider is synchronised' }),
    inventory: () => effectiveInventory(network, { home: readRegisters(doc), visits: new Map() }, Date.now()),
  }
}

const shows = (reader: { inventory(): Inventory | undefined }, pneId: string) =>
  until(() => reader.inventory()?.members.some(member => member.pneId === pneId && member.state === 'active'), {
    what: `${pneId} is shown as active`,
  })

/** Whether the text is in the document anywhere, shown or not. */
const holds = (doc: Y.Doc, text: string): boolean => Buffer.from(Y.encodeStateAsUpdate(doc)).includes(text)

/** Roster changes whose registers are garbage at once, until the server has rebuilt the document. */
async function overwriteUntilRebuilt(owner: Session): Promise<void> {
  const { epoch: before } = await owner.call(documentOpen, { document })
  const pnes = Array.from({ length: 64 }, (_, index) => ({ operator: home, pneId: `${'long'.repeat(25)}-${index}` }))
  await until(
    async () => {
      await owner.call(pnUpdate, { ...newCommand(), ...network, operation: 'add', pnes })
      await owner.call(pnUpdate, { ...newCommand(), ...network, operation: 'remove', pnes })
      const { epoch } = await owner.call(documentOpen, { document })
      return epoch > before
    },
    { what: 'the document is rebuilt' },
  )
}

test('a stock provider reads live, is refused a write, and is taken over a compaction', async () => {
  await using stage = await openStage()
  const first = await stage.start(await stage.folder('a', 'a.example'))
  const founder = await stage.session(first, 'owner', { reconnect: false })
  await founder.call(pnEstablish, { ...newCommand(), alias: 'To be erased', pnId: network.pnId })
  await founder.call(pnRelease, { ...newCommand(), ...network })
  // Every run writes a log of its own. What this one overwrites stays in the other, until the document is rebuilt.
  await first.process.stop('SIGKILL')
  const server = await stage.start(first.home)
  const owner = await stage.session(server, 'owner')
  await establish(owner, network, ['a.example/gateway', 'a.example/lamp'])
  const gateway = await stage.gateway(server, 'gateway', network)

  // live
  const ticket = await owner.call(sessionTicket, { document })
  const reader = provide(stage, ticket)
  await reader.synced()
  assert.ok(holds(reader.doc, 'To be erased'))
  await stage.register(gateway, network, server, 'lamp')
  await shows(reader, 'lamp')
  const at = Date.now()
  assert.equal(
    effectiveInventory(network, { home: readRegisters(reader.doc), visits: new Map() }, at),
    await owner.call(pnInventory, { ...network, at }),
  )

  // a write
  const { digest } = await owner.call(documentOpen, { document })
  const writer = provide(stage, ticket)
  await writer.synced()
  const [log] = writer.doc.share.keys()
  writer.doc.getMap(log).set('pn', [8e15, 'me', { alias: 'forged' }])
  writer.doc.getMap('mine').set('anything', 1)
  await until(() => writer.denials.length >= 2, { what: 'both writes are denied' })
  assert.match(String(writer.denials[0]), /read-only/)
  assert.ok(writer.provider.wsconnected, 'and it may stay')
  assert.is((await owner.call(documentOpen, { document })).digest, digest)
  await stage.register(gateway, network, server, 'camera')
  await shows(reader, 'camera')
  assert.is(reader.inventory()?.alias, 'Home')
  assert.not(reader.doc.share.has('mine'))
  writer.destroy()

  // a compaction
  await overwriteUntilRebuilt(owner)
  await until(() => !holds(reader.doc, 'To be erased'), { what: 'what was erased is gone' })
  await stage.register(gateway, network, server, 'bell')
  await shows(reader, 'bell')
  assert.equal(reader.closes, [], 'the connection stands')
  assert.equal(reader.inventory(), await owner.call(pnInventory, network))

  const fresh = provide(stage, ticket)
  await fresh.synced()
  assert.equal(fresh.inventory(), await owner.call(pnInventory, network))
  assert.not(holds(fresh.doc, 'To be erased'))
})

test.run()
