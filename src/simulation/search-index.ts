import {
  type Attribute,
  type Criteria,
  fieldWeights,
  type IndexBatch,
  type IndexChange,
  type IndexedObject,
  type IndexPage,
  type IndexQuery,
  isWord,
  type MailboxName,
  type ObjectPlace,
  OutOfStep,
  type SearchIndex,
  SearchIndexFailed,
  SearchIndexFull,
  type SortKey,
  type TextField,
  textFields,
} from '../ports/search-index.ts'
import { never, type Run } from './run.ts'

interface Mailbox {
  readonly name: MailboxName
  position: string
  readonly objects: Map<string, IndexedObject>
}

/**
 * A search index in plain memory that looks at every object for every query: what the others are held against, and what
 * simulated servers have.
 */
export class SimulatedSearchIndex implements SearchIndex {
  /** Refuse every batch, as on a full disk. */
  isFull = false
  /** What takes time before a batch is stored. */
  beforeApply: (() => Promise<void>) | undefined
  /** Fail everything. */
  isBroken = false
  readonly #mailboxes = new Map<string, Mailbox>()

  async position(mailbox: MailboxName): Promise<string | undefined> {
    this.#requireWorking()
    return this.#mailboxes.get(nameOf(mailbox))?.position
  }

  async apply(mailbox: MailboxName, { after, changes, position }: IndexBatch): Promise<void> {
    await this.beforeApply?.()
    this.#requireWorking()
    if (this.isFull) throw new SearchIndexFull('The simulated disk is full.')
    const found = this.#mailboxes.get(nameOf(mailbox))
    if (found?.position !== after) throw outOfStep(mailbox)
    const objects = new Map(found?.objects)
    for (const change of changes) make(change, objects)
    this.#mailboxes.set(nameOf(mailbox), { name: mailbox, position, objects })
  }

  async query(mailbox: MailboxName, position: string, query: IndexQuery): Promise<IndexPage> {
    const { criteria, sort, order, limit, after } = query
    const found = [...this.#at(mailbox, position).objects.values()]
      .filter(object => holds(criteria, object))
      .map((object): SortKey => {
        const { container, part, id, date } = object
        return { value: valueFor(object, sort, criteria), date, id, container, part }
      })
      .sort(order === 'ascending' ? compare : (a, b) => compare(b, a))
      .filter(key => !after || (order === 'ascending' ? compare(key, after) > 0 : compare(key, after) < 0))
    return { objects: found.slice(0, limit), more: found.length > limit }
  }

  async held(
    mailbox: MailboxName,
    position: string,
    name: string,
    values: readonly string[],
  ): Promise<ReadonlySet<string>> {
    const objects = [...this.#at(mailbox, position).objects.values()]
    return new Set(values.filter(value => objects.some(object => hasAttribute(object, [name, value]))))
  }

  async mailboxes(): Promise<readonly MailboxName[]> {
    this.#requireWorking()
    return [...this.#mailboxes.values()].map(({ name }) => name)
  }

  async drop(mailbox: MailboxName): Promise<void> {
    this.#requireWorking()
    this.#mailboxes.delete(nameOf(mailbox))
  }

  async close(): Promise<void> {
    this.isBroken = true
  }

  /** Loses a mailbox's index, as when its file is found damaged. */
  damage(mailbox: MailboxName): void {
    this.#mailboxes.delete(nameOf(mailbox))
  }

  #at(mailbox: MailboxName, position: string): Mailbox {
    this.#requireWorking()
    const found = this.#mailboxes.get(nameOf(mailbox))
    if (found?.position !== position) throw outOfStep(mailbox)
    return found
  }

  #requireWorking(): void {
    if (this.isBroken) throw new SearchIndexFailed('The simulated index is broken or closed.')
  }
}

function make(change: IndexChange, objects: Map<string, IndexedObject>): void {
  switch (change.kind) {
    case 'put':
      objects.set(keyOf(change.object), checked(change.object))
      break
    case 'flags': {
      const key = keyOf(change.place)
      const before = objects.get(key)
      if (before) objects.set(key, { ...before, flags: change.flags })
      break
    }
    case 'remove':
      objects.delete(keyOf(change.place))
      break
    case 'remove-container':
      for (const [key, { container }] of objects) if (container === change.container) objects.delete(key)
      break
  }
}

const nameOf = ({ operator, user }: MailboxName): string => `${operator}/${user}`
/** The index as one run of a process has it; nothing of a run that is over reaches it. */
export function ofRun(index: SearchIndex, run: Run): SearchIndex {
  const admitted = <T>(work: () => Promise<T>): Promise<T> => (run.admits() ? work() : never())
  return {
    position: mailbox => admitted(() => index.position(mailbox)),
    apply: (mailbox, batch) => admitted(() => index.apply(mailbox, batch)),
    query: (mailbox, position, query) => admitted(() => index.query(mailbox, position, query)),
    held: (mailbox, position, name, values) => admitted(() => index.held(mailbox, position, name, values)),
    mailboxes: () => admitted(() => index.mailboxes()),
    drop: mailbox => admitted(() => index.drop(mailbox)),
    close: async () => {},
  }
}

const keyOf = ({ container, part, id }: ObjectPlace): string => JSON.stringify([container, part, id])
const outOfStep = (mailbox: MailboxName) => new OutOfStep(`The index of ${nameOf(mailbox)} stands elsewhere.`)

function checked(object: IndexedObject): IndexedObject {
  if (!textFields.every(field => object.words[field].every(isWord))) throw new RangeError('Not a word.')
  return object
}

const hasAttribute = ({ attributes }: IndexedObject, [name, value]: Attribute): boolean =>
  attributes.some(attribute => attribute[0] === name && attribute[1] === value)

/** Whether an object is found: the meaning of {@link Criteria}, word by word. */
export function holds(criteria: Criteria, object: IndexedObject): boolean {
  switch (criteria.kind) {
    case 'and':
      return criteria.of.every(part => holds(part, object))
    case 'or':
      return criteria.of.some(part => holds(part, object))
    case 'not':
      return !holds(criteria.of, object)
    case 'attribute':
      return hasAttribute(object, criteria.attribute)
    case 'flag':
      return object.flags.includes(criteria.flag)
    case 'id':
      return object.id === criteria.id
    case 'range': {
      const value = object[criteria.of]
      return value >= (criteria.from ?? value) && (criteria.before === undefined || value < criteria.before)
    }
    case 'phrase':
      return fieldsOf(criteria).some(field => hasPhrase(criteria, object.words[field]))
  }
}

type Phrase = Extract<Criteria, { readonly kind: 'phrase' }>

const fieldsOf = ({ field }: Phrase): readonly TextField[] => (field ? [field] : textFields)

function hasPhrase({ words, prefix }: Phrase, text: readonly string[]): boolean {
  if (words.length === 0 || !words.every(isWord)) throw new RangeError('A phrase is one word or more.')
  return text.some((_, at) =>
    words.every((word, index) => {
      const found = text[at + index]
      return found === word || (prefix && index === words.length - 1 && found?.startsWith(word))
    }),
  )
}

function valueFor(object: IndexedObject, sort: IndexQuery['sort'], criteria: Criteria): number | string {
  switch (sort) {
    case 'date':
      return object.date
    case 'size':
      return object.size
    case 'from':
      return object.from
    case 'relevance':
      return relevance(criteria, object)
  }
}

function relevance(criteria: Criteria, object: IndexedObject): number {
  switch (criteria.kind) {
    case 'and':
    case 'or':
      return criteria.of.reduce((sum, part) => sum + relevance(part, object), 0)
    case 'phrase':
      return fieldsOf(criteria)
        .filter(field => hasPhrase(criteria, object.words[field]))
        .reduce((sum, field) => sum + fieldWeights[field], 0)
    default:
      return 0
  }
}

const orderOf = ({ value, date, id, container, part }: SortKey) => [value, date, id, container, part] as const

function compare(a: SortKey, b: SortKey): number {
  const [left, right] = [orderOf(a), orderOf(b)]
  for (const [index, value] of left.entries()) {
    const other = right[index]
    if (other !== undefined && value !== other) return value < other ? -1 : 1
  }
  return 0
}
