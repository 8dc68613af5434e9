import { browserHttp } from '../../../adapters/browser/http.ts'
import { browserRandom } from '../../../adapters/browser/random.ts'
import { systemClock } from '../../../adapters/clock.ts'
import type { ExaminedManifest } from '../../admin/trusting.ts'
import { AskFailed, connection } from './connection.ts'
import { pageOf } from './frame.ts'
import { patch } from './patch.ts'
import { type Asked, type Place, placeAt, places, type State } from './state.ts'
import type { Child, Element } from './tree.ts'
import type { Acts } from './view.ts'

/*
 * The program of the console: it holds what the page knows, asks the node for more where a view wants it, and shows it anew
 * whenever something has changed, once for each frame of the screen at most.
 */

const tokenKey = 'cpns-token'
/** What was asked for is asked for again at most so often, however much changes. */
const againMs = 2_000
const maxAsked = 60

const clock = systemClock()
let state: State = {
  connection: { kind: 'connecting' },
  told: {},
  place: placeAt(location.hash),
  asked: new Map(),
  search: {},
  pages: {},
  notice: '',
  widthPx: 600,
}
let isDue = false
/** Who had the focus before the page asked for a word. */
let returnTo: HTMLElement | undefined
/** Paths that views have asked for since they were shown last, and when each was asked of the node. */
const wanted = new Map<string, { revision: number; atMs: number }>()

const link = connection({
  origin: location.origin,
  http: browserHttp(),
  clock,
  random: browserRandom(),
  changed(connection) {
    if (connection.kind === state.connection.kind && connection.kind === 'live') return
    if (connection.kind === 'locked') sessionStorage.removeItem(tokenKey)
    change({ connection })
  },
  told(update) {
    const before = state.told.federation?.operators
    change({ told: { ...state.told, ...update } })
    const after = state.told.federation?.operators
    const lost = after?.filter(
      ({ operator, reach }) =>
        reach === 'cut-off' && before?.some(each => each.operator === operator && each.reach !== 'cut-off'),
    )
    const back = after?.filter(
      ({ operator, reach }) =>
        reach !== 'cut-off' && before?.some(each => each.operator === operator && each.reach === 'cut-off'),
    )
    if (lost?.[0]) change({ notice: `${lost[0].operator} cannot be reached.` })
    else if (back?.[0]) change({ notice: `${back[0].operator} can be reached again.` })
  },
})

function change(part: Partial<State>): void {
  state = { ...state, ...part }
  if (isDue) return
  isDue = true
  requestAnimationFrame(show)
}

const acts: Acts = {
  ask: path => asking(path, revisionAt(state)),
  askOnce: path => asking(path, 0),
  more: () => {
    const { name } = state.place
    change({ pages: { ...state.pages, [name]: (state.pages[name] ?? 1) + 1 } })
  },
  search: text => change({ search: { ...state.search, [state.place.name]: text } }),
  confirm(action) {
    rememberFocus()
    change({ confirming: { ...action, stage: 'asked' } })
  },
  answer(isYes, said) {
    const { confirming } = state
    if (!confirming) return
    if (!isYes) {
      change({ confirming: undefined })
      return
    }
    change({ confirming: { ...confirming, stage: 'sent' } })
    const { method, path, asks } = confirming
    const body = asks && said !== undefined ? { ...confirming.body, [asks.field]: said } : confirming.body
    link.act(method, path, body).then(
      () => change({ confirming: undefined, notice: `${confirming.label}: the node does it.` }),
      (error: unknown) => change({ confirming: { ...confirming, stage: 'asked', error: messageOf(error) } }),
    )
  },
  unlock(token) {
    sessionStorage.setItem(tokenKey, token)
    link.open(token)
  },
  trusting: {
    begin() {
      rememberFocus()
      change({ trusting: { isAsking: false } })
    },
    examine(manifest) {
      change({ trusting: { manifest, isAsking: true } })
      link.have('POST', '/v1/manifests/examine', { manifest }).then(
        // The answer is that of the node that the page comes from.
        found => change({ trusting: { manifest, found: found as ExaminedManifest, isAsking: false } }),
        (error: unknown) => change({ trusting: { manifest, isAsking: false, error: messageOf(error) } }),
      )
    },
    confirm() {
      const { trusting } = state
      if (!trusting?.found) return
      const { manifest, found } = trusting
      const { operator, fingerprint } = found
      change({ trusting: { ...trusting, isAsking: true } })
      link.have('PUT', `/v1/peers/${encodeURIComponent(operator)}`, { manifest, fingerprint }).then(
        () => change({ trusting: undefined, notice: `${operator} is trusted.` }),
        (error: unknown) => change({ trusting: { ...trusting, isAsking: false, error: messageOf(error) } }),
      )
    },
    back: () => change({ trusting: { isAsking: false } }),
    end: () => change({ trusting: undefined }),
  },
}

function rememberFocus(): void {
  returnTo = document.activeElement instanceof HTMLElement ? document.activeElement : undefined
}

/** Asks the node, if it was not asked yet, has failed to answer, or something has changed since. */
function asking(path: string, revision: number): Asked {
  const asked = wanted.get(path)
  const known = state.asked.get(path)
  const isOther = asked?.revision !== revision || known?.error !== undefined
  const isStale = asked === undefined || (isOther && clock.elapsed() - asked.atMs > againMs)
  if (isStale && known?.isAsking !== true) {
    wanted.set(path, { revision, atMs: clock.elapsed() })
    answered(path, { ...known, isAsking: true })
    link.get(path).then(
      value => answered(path, { value, isAsking: false }),
      (error: unknown) => answered(path, { ...state.asked.get(path), error: messageOf(error), isAsking: false }),
    )
  }
  return state.asked.get(path) ?? { isAsking: true }
}

const messageOf = (error: unknown): string => (error instanceof AskFailed ? error.message : `${error}`)

/** What shows networks or mailboxes is asked for again when one of those has changed, all else when any document has. */
function revisionAt({ told: { revisions }, place: { name } }: State): number {
  if (!revisions) return 0
  return name === 'networks' || name === 'mailboxes' ? revisions[name] : revisions.documents
}

/** Keeps the latest: every word that was searched for is one. */
function answered(path: string, answer: Asked): void {
  const asked = new Map(state.asked)
  asked.delete(path)
  asked.set(path, answer)
  for (const [oldest] of asked) {
    if (asked.size <= maxAsked) break
    asked.delete(oldest)
    wanted.delete(oldest)
  }
  change({ asked })
}

function show(): void {
  isDue = false
  patch(document.body, pageOf(state, acts).filter(isShown))
  const label = places.find(({ name }) => name === state.place.name)?.label
  const operator = state.told.overview?.operator
  document.title = [label, operator ?? 'CPNS node'].join(' · ')
  const dialog = document.querySelector('dialog')
  if (dialog && !dialog.open) dialog.showModal()
  if (!dialog && returnTo) {
    returnTo.focus()
    returnTo = undefined
  }
  measure()
}

const isShown = (child: Child): child is Element | string => child !== undefined && child !== false && child !== ''

/** Charts and the map are drawn for the room that there is. */
function measure(): void {
  const main = document.getElementById('content')
  if (!main) return
  const { paddingLeft, paddingRight } = getComputedStyle(main)
  const widthPx = Math.floor(main.clientWidth - Number.parseFloat(paddingLeft) - Number.parseFloat(paddingRight))
  if (widthPx > 0 && widthPx !== state.widthPx) change({ widthPx })
}

addEventListener('resize', measure)
addEventListener('hashchange', () => {
  const place: Place = placeAt(location.hash)
  change({ place })
  // Whoever listens to the page hears where they have come to; the view is there by then.
  requestAnimationFrame(() => {
    document.getElementById('title')?.focus()
    scrollTo(0, 0)
  })
})

/** A link may bring the token, behind the `#`, which is sent to nobody; it leaves the address at once. */
const [, brought] = /^#token=([A-Za-z0-9_-]+)$/.exec(location.hash) ?? []
if (brought !== undefined) {
  sessionStorage.setItem(tokenKey, brought)
  history.replaceState(null, '', `${location.pathname}#/overview`)
  state = { ...state, place: placeAt(location.hash) }
}
link.open(sessionStorage.getItem(tokenKey) ?? undefined)
change({})
