import { parentPort, workerData } from 'node:worker_threads'
import { SearchFiles, type SearchFilesOptions } from './sqlite-search-files.ts'
import { type Answers, type Call, failureOf, type Reply, type Work } from './sqlite-search-messages.ts'

/*
 * The thread in which SQLite works: its calls hold up whoever makes them, for as long as the disk or a broad search takes. It
 * does one thing after another, in the order in which it was asked.
 */

const options: SearchFilesOptions = workerData
const files = new SearchFiles(options)

parentPort?.on('message', (call: Call) => parentPort?.postMessage(replyTo(call)))

function replyTo({ number, work }: Call): Reply {
  try {
    return { number, ok: true, answer: perform(work) }
  } catch (error) {
    return { number, ok: false, failure: failureOf(error) }
  }
}

function perform(work: Work): Answers[keyof Answers] {
  switch (work.kind) {
    case 'position':
      return files.position(work.mailbox)
    case 'apply':
      files.apply(work.mailbox, work.batch)
      return undefined
    case 'query':
      return files.query(work.mailbox, work.position, work.query)
    case 'held':
      return files.held(work.mailbox, work.position, work.name, work.values)
    case 'mailboxes':
      return files.mailboxes()
    case 'drop':
      files.drop(work.mailbox)
      return undefined
    case 'close':
      files.close()
      return undefined
  }
}
