import { applyUpdate, Doc, encodeStateVector } from 'yjs'
import { encodeMessage, parseChannelFrame, type YMessage } from '../access/frames.ts'
import { documentClose, documentEpoch, documentOpen, documentWithdrawn } from '../access/protocol.ts'
import type { Registers } from '../document/documents.ts'
import { readRegisters } from '../document/registers-view.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { DocumentId, ServerId } from '../ports/names.ts'
import { RequestRefused } from './errors.ts'
import type { Session } from './session.ts'

export interface DocumentListener {
  /** What the document says has changed; called the first time when it is complete. */
  changed(document: ClientDocument): void
  /** It can be read no longer: the right was withdrawn, or the session closed. Nothing comes after. */
  ended?(error: Error): void
}

/** A document as it is read along. */
export interface ClientDocument {
  readonly id: DocumentId
  /** Whether it was complete once; it stays so while a connection is restored. */
  readonly isComplete: boolean
  /** What it says now. */
  registers(): Registers
  /** The Y.Doc behind it; replaced by another one when the document is rebuilt. Not to be written to. */
  readonly doc: Doc
  close(): void
}

/** One filling of the document. Resumed only at the server it came from and in its epoch: elsewhere it may hold what is gone. */
interface Copy {
  readonly doc: Doc
  readonly server: ServerId
  readonly epoch: number
}

const retryMs = 1_000

/** Reads a document along, over lost connections, other servers, and rebuilt documents. */
export function openDocument(
  session: Session,
  clock: Clock,
  id: DocumentId,
  listener: DocumentListener,
): ClientDocument {
  /** What is shown, and what is being filled: the same one, unless the document was rebuilt. */
  let shown: Copy | undefined
  let filling: { readonly copy: Copy; readonly channel: number } | undefined
  let opening = 0
  /** Channels whose end was told before the answer that named them was taken in. */
  const endedEarly = new Set<number>()
  let closed = false
  let cancelRetry: Cancel = () => {}
  const empty = newDoc(id)

  const document: ClientDocument = {
    id,
    get isComplete() {
      return shown !== undefined
    },
    get doc() {
      return shown?.doc ?? empty
    },
    registers: () => readRegisters(document.doc),
    close() {
      if (closed) return
      const channel = filling?.channel
      finish()
      // The answer says nothing: a channel that is lost is closed as well.
      if (channel !== undefined) session.call(documentClose, { channel }).catch(() => {})
    },
  }
  const stopListening = session.listen({
    state(state) {
      filling = undefined
      endedEarly.clear()
      if (state.kind === 'connected') void open()
      if (state.kind === 'closed') end(new Error(`The session is closed: ${state.why}`))
    },
    notification(method, params) {
      if (method === documentEpoch.method && channelEnded(documentEpoch.params.safeParse(params).data?.channel)) {
        filling = undefined
        void open()
      }
      if (
        method === documentWithdrawn.method &&
        channelEnded(documentWithdrawn.params.safeParse(params).data?.channel)
      ) {
        end(new Error(`${id} may no longer be read.`))
      }
    },
    bytes: receive,
  })
  void open()
  return document

  async function open(): Promise<void> {
    cancelRetry()
    const attempt = ++opening
    const { state } = session
    if (closed || state.kind !== 'connected') return
    try {
      const { channel, epoch } = await session.call(documentOpen, { document: id })
      if (attempt !== opening || closed) return
      if (endedEarly.delete(channel)) return void open()
      const resumable = shown?.server === state.server && shown.epoch === epoch
      const copy = resumable && shown ? shown : { doc: newDoc(id), server: state.server, epoch }
      filling = { copy, channel }
      send({ kind: 'step1', stateVector: encodeStateVector(copy.doc) })
    } catch (error) {
      if (attempt !== opening || closed) return
      if (error instanceof RequestRefused && error.status < 429) return end(error)
      // Lost with its connection, it is opened with the next one; refused for the moment, it is tried again.
      const waitMs = (error instanceof RequestRefused ? error.retryAfterMs : undefined) ?? retryMs
      cancelRetry = clock.after(waitMs, () => void open())
    }
  }

  function send(message: YMessage) {
    if (filling) session.sendBytes(encodeMessage(message, filling.channel))
  }

  function receive(frame: Uint8Array) {
    const parsed = parseChannelFrame(frame)
    if (!parsed || parsed.channel !== filling?.channel) return
    const { message } = parsed
    if (message.kind !== 'step2' && message.kind !== 'update') return
    const { copy } = filling
    applyUpdate(copy.doc, message.update)
    if (message.kind === 'step2') shown = copy
    if (shown === copy) listener.changed(document)
  }

  /** Whether it was this document's channel that ended. */
  function channelEnded(channel: number | undefined): boolean {
    if (channel === undefined) return false
    if (filling?.channel === channel) return true
    if (!filling) endedEarly.add(channel)
    return false
  }

  function end(error: Error) {
    if (closed) return
    finish()
    listener.ended?.(error)
  }

  function finish() {
    closed = true
    filling = undefined
    cancelRetry()
    stopListening()
  }
}

/** Nothing is ever written to it, so that its client id, which Yjs would draw at random, is nobody's. */
function newDoc(id: DocumentId): Doc {
  const doc = new Doc({ guid: id })
  doc.clientID = 0
  return doc
}
