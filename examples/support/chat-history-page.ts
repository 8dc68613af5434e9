/*
 * The chat history viewer in its page: everything that it shows it reads from the message store of this browser, which keeps
 * itself in step. So it looks the same with a connection and without one.
 */
import {
  type ConnectionState,
  type Container,
  type MailObject,
  openBrowserReplica,
  openMessageStore,
  type SessionOptions,
} from '../../src/client/index.ts'

/** What the page is told of the user whose messages it shows. */
export interface ChatSettings {
  readonly session: Omit<SessionOptions, 'credential'>
  /** Pre-shared key, base64url. */
  readonly key: string
  readonly address: string
  /** A new replica for every run of the example. */
  readonly replica: string
  readonly names: Readonly<Record<string, string>>
  readonly servers: Readonly<Record<string, string>>
}

const settings: ChatSettings = await (await fetch('settings.json')).json()
const key = Uint8Array.from(atob(settings.key.replaceAll('-', '+').replaceAll('_', '/')), byte => byte.charCodeAt(0))

const store = await openMessageStore({
  session: { ...settings.session, credential: { kind: 'psk', key } },
  address: settings.address,
  deviceId: 'browser',
  deviceName: 'This browser',
  replica: await openBrowserReplica(settings.replica),
  // Until the page can show what happens.
  startOffline: true,
  onEvent: ({ kind }) => {
    if (kind === 'changed' || kind === 'connection') void show()
  },
})

let open: string | undefined
let words = ''
let isShowing = false
let isStale = false

/** Draws everything anew; what changes meanwhile is drawn once more. */
async function show(): Promise<void> {
  isStale = true
  if (isShowing) return
  isShowing = true
  while (isStale) {
    isStale = false
    showConnection(store.connection)
    await showPlaces()
    await showMessages()
  }
  isShowing = false
}

function showConnection(connection: ConnectionState): void {
  const pill = at('connection')
  pill.className = `pill ${connection.kind}`
  pill.textContent =
    connection.kind === 'online' ? (settings.servers[connection.server] ?? 'Online') : labels[connection.kind]
  const bar = at('bar')
  const { length } = store.waiting
  bar.hidden = length === 0 && connection.kind !== 'refused'
  bar.textContent =
    connection.kind === 'refused'
      ? connection.error.message
      : `${length} ${length === 1 ? 'change waits' : 'changes wait'} for a server. Nothing is lost.`
}
const labels = { connecting: 'Connecting …', offline: 'Offline', refused: 'Refused' } as const

async function showPlaces(): Promise<void> {
  const [conversations, folders] = [await store.conversations(), await store.folders()]
  at('places').replaceChildren(
    element('h2', {}, 'Conversations'),
    ...conversations.map(place),
    ...(folders.length > 0 ? [element('h2', {}, 'Folders'), ...folders.map(place)] : []),
  )
}

function place(container: Container): HTMLElement {
  const { latest, unseen, kind } = container
  const name = nameOf(container)
  const button = element(
    'button',
    { class: 'place', 'aria-current': String(open === container.container), 'data-container': container.container },
    face(name, kind),
    element('b', {}, name),
    element('time', {}, latest ? when(latest.date) : ''),
    element('p', {}, latest ? `${isMine(latest) ? 'You: ' : ''}${textOf(latest)}` : 'Empty'),
    unseen > 0 ? element('span', { class: 'badge' }, String(unseen)) : element('span'),
  )
  button.onclick = () => go(container.container)
  return button
}

/** Opens a conversation or folder; `undefined`: the list of them, where there is no room for both. */
function go(container: string | undefined): void {
  open = container
  words = ''
  input('search').value = ''
  void show()
}

async function showMessages(): Promise<void> {
  const list = at('messages')
  list.classList.toggle('found', words !== '')
  document.body.className = words !== '' ? 'searching' : open === undefined ? '' : 'open'
  if (words !== '') {
    at('title').hidden = at('compose').hidden = true
    delete list.dataset.container
    const found = await store.search(words)
    const rows =
      found.length > 0 ? found.map(message) : [element('p', { class: 'nothing' }, `Nothing has “${words}” in it.`)]
    return list.replaceChildren(...rows)
  }
  const all = [...(await store.conversations()), ...(await store.folders())]
  const container = all.find(each => each.container === open)
  if (!container) {
    at('title').hidden = at('compose').hidden = true
    return list.replaceChildren(element('p', { class: 'nothing' }, 'Choose a conversation.'))
  }
  at('title').hidden = false
  at('compose').hidden = container.kind === 'folder'
  const amount = `${container.objects} ${container.objects === 1 ? 'message' : 'messages'} on this device`
  const back = element('button', { class: 'back', title: 'All conversations' }, '‹')
  back.onclick = () => go(undefined)
  at('title').replaceChildren(
    back,
    face(nameOf(container), container.kind),
    element('div', {}, element('b', {}, nameOf(container)), element('small', {}, amount)),
  )
  const wasAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80 || list.dataset.container !== open
  const objects = [...(await store.objects(container.container, { limit: 200 }))].reverse()
  const rows: HTMLElement[] = []
  let day = ''
  for (const object of objects) {
    const its = new Date(object.date).toLocaleDateString('en', { weekday: 'long', day: 'numeric', month: 'long' })
    if (its !== day) rows.push(element('div', { class: 'day' }, its))
    day = its
    rows.push(message(object))
  }
  list.replaceChildren(...rows)
  list.dataset.container = open
  if (wasAtEnd) list.scrollTop = list.scrollHeight
  const unseen = objects.filter(object => !isMine(object) && !object.flags.includes('\\Seen')).map(({ id }) => id)
  if (unseen.length > 0 && container.kind === 'conversation') await store.setFlag(unseen, '\\Seen')
}

function message(object: MailObject): HTMLElement {
  const isFlagged = object.flags.includes('\\Flagged')
  const star = element('button', { class: isFlagged ? 'on' : '', title: 'Flag', 'data-act': 'flag' }, icon(starPath))
  star.onclick = () =>
    void (isFlagged ? store.clearFlag(object.id, '\\Flagged') : store.setFlag(object.id, '\\Flagged'))
  const keep = element('button', { title: 'Keep a copy', 'data-act': 'keep' }, icon(folderPath))
  keep.onclick = () => void keepCopy(object.id)
  const isWaiting = store.waiting.some(change => change.kind === 'deposit' && change.looks[0]?.id === object.id)
  const clock = clockOf(new Date(object.date))
  const isFound = words !== ''
  const time = isFound ? `${dayOf(new Date(object.date))} · ${clock}` : clock
  const isWhole = object.content === 'full'
  const bubble = element(
    isFound || !isWhole ? 'button' : 'div',
    { class: 'bubble' },
    ...marked(textOf(object)),
    element('small', {}, isWaiting ? `${time} · waits` : time),
  )
  if (isFound) bubble.onclick = () => go(object.container)
  // What cannot be fetched now can be clicked again.
  else if (!isWhole) bubble.onclick = () => void store.fetch(object.id).then(show, () => {})
  return element(
    'div',
    {
      class: ['message', isMine(object) && 'out', isWaiting && 'waits'].filter(Boolean).join(' '),
      'data-id': object.id,
    },
    bubble,
    element('div', { class: 'acts' }, star, ...(object.container.startsWith('f-') ? [] : [keep])),
  )
}

async function keepCopy(id: string): Promise<void> {
  const [folder] = await store.folders()
  await store.copy(id, folder?.container ?? (await store.createFolder('To keep')))
}

at('connection').onclick = () => (store.connection.kind === 'offline' ? store.goOnline() : store.goOffline())
input('search').oninput = () => {
  words = input('search').value.trim()
  void show()
}
at('compose').onsubmit = event => {
  event.preventDefault()
  const field = at('compose').querySelector('input')
  const text = field?.value.trim()
  if (field && text) void send(text)
  if (field) field.value = ''
}

async function send(text: string): Promise<void> {
  const [latest] = await store.objects(open ?? '', { limit: 1 })
  if (!latest || latest.content === 'links') return
  const to = isMine(latest) ? latest.to : [latest.from]
  const { conversationId } = latest
  const said = { type: 'message', direction: 'out', contentType: 'text/plain' } as const
  await store.deposit({ ...said, date: Date.now(), from: settings.address, to, conversationId, text })
}

function nameOf({ name, latest, kind }: Container): string {
  if (kind === 'folder' || !latest || latest.content === 'links') return name
  const other = isMine(latest) ? latest.to[0] : latest.from
  return settings.names[other ?? ''] ?? other ?? name
}

const isMine = (object: MailObject): boolean => object.content !== 'links' && object.direction === 'out'
const textOf = (object: MailObject): string =>
  object.content === 'full' ? (object.text ?? '…') : 'Not loaded, to save data. Load it'

const dayOf = (time: Date): string => time.toLocaleDateString('en', { day: 'numeric', month: 'short' })

const clockOf = (time: Date): string =>
  time.toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', hour12: false })

function when(date: number): string {
  const its = new Date(date)
  const isToday = its.toDateString() === new Date().toDateString()
  return isToday ? clockOf(its) : dayOf(its)
}

/** The text, with what was searched for marked. */
function marked(text: string): (string | HTMLElement)[] {
  const [word] = words.toLowerCase().split(/\s+/)
  const found = word ? text.toLowerCase().indexOf(word) : -1
  if (!word || found < 0) return [text]
  const end = found + word.length
  return [text.slice(0, found), element('mark', {}, text.slice(found, end)), text.slice(end)]
}

function face(name: string, kind: Container['kind']): HTMLElement {
  if (kind === 'folder') return element('span', { class: 'face folder' }, icon(folderPath))
  const hue = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0) * 37, 0) % 360
  const initials = name
    .toUpperCase()
    .split(' ')
    .map(part => part[0])
    .slice(0, 2)
    .join('')
  return element('span', { class: 'face', style: `--hue: ${hue}` }, initials)
}

const starPath = 'M12 2.6l2.9 6 6.5.9-4.7 4.6 1.1 6.5-5.8-3.1-5.8 3.1 1.1-6.5L2.6 9.5l6.5-.9z'
const folderPath =
  'M3 6.5A1.5 1.5 0 0 1 4.500 5h4.700l2 2.200h8.300A1.500 1.500 0 0 1 21 8.700v9.300a1.500 1.500 0 0 1-1.500 1.500h-15A1.500 1.500 0 0 1 3 18z'

function icon(path: string): Element {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  const shape = document.createElementNS('http://www.w3.org/2000/svg', 'path')
  shape.setAttribute('d', path)
  svg.append(shape)
  return svg
}

function element(
  tag: string,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly (string | Element)[]
): HTMLElement {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children)
  return made
}

function at(id: string): HTMLElement {
  const found = document.getElementById(id)
  if (!found) throw new Error(`The page has no ${id}.`)
  return found
}

function input(id: string): HTMLInputElement {
  const found = at(id)
  if (found instanceof HTMLInputElement) return found
  throw new Error(`${id} takes no text.`)
}

void show()
store.goOnline()
