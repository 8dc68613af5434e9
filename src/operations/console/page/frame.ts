import { actionsView, confirmation } from './actions-view.ts'
import { alarmsView } from './alarms-view.ts'
import { documentsView } from './documents-view.ts'
import { federationView } from './federation-view.ts'
import { shortId } from './format.ts'
import { mailboxesView } from './mailboxes-view.ts'
import { networksView } from './networks-view.ts'
import { overviewView } from './overview-view.ts'
import { hashOf, type PlaceName, places, type State } from './state.ts'
import { box, type Child, element, span } from './tree.ts'
import { trustDialog } from './trust-dialog.ts'
import { type Acts, badge, type Tone, type View } from './view.ts'

/* The page around the views: which node it is, whether it is heard, and the way to each view. */

const views: Readonly<Record<PlaceName, View>> = {
  overview: overviewView,
  federation: federationView,
  networks: networksView,
  mailboxes: mailboxesView,
  documents: documentsView,
  alarms: alarmsView,
  actions: actionsView,
}

export function pageOf(state: State, acts: Acts): readonly Child[] {
  const { connection, place, confirming, trusting, notice } = state
  if (connection.kind === 'locked') return [lockedPage(connection.why, acts)]
  const label = places.find(({ name }) => name === place.name)?.label ?? ''
  return [
    element('a', { class: 'skip', href: '#content' }, 'Skip to content', { on: { click: skip } }),
    header(state),
    navigation(state),
    element('main', { id: 'content' }, [
      element('h1', { tabindex: -1, id: 'title' }, place.item === undefined ? label : place.item),
      connection.kind === 'lost' &&
        element(
          'p',
          { class: 'banner bad', role: 'alert' },
          `${connection.why} What is shown may be old. It is tried again …`,
        ),
      ...views[place.name](state, acts),
    ]),
    element('p', { class: 'unseen', role: 'status' }, notice),
    confirming && confirmation(confirming, acts),
    trusting && trustDialog(trusting, acts),
  ]
}

function skip(event: Event): void {
  event.preventDefault()
  document.getElementById('title')?.focus()
}

function header({ told: { overview }, connection }: State): Child {
  return element('header', { class: 'top' }, [
    box('brand', [
      element('strong', { class: 'name', title: overview?.operator }, overview?.operator ?? 'CPNS node'),
      overview && element('code', { title: overview.server }, shortId(overview.server)),
    ]),
    box('pills', [
      overview && badge(overview.isReady ? 'ok' : 'warn', overview.state),
      badge(connectionTone[connection.kind], connectionText[connection.kind]),
    ]),
  ])
}

const connectionText: Readonly<Record<State['connection']['kind'], string>> = {
  connecting: 'connecting',
  live: 'live',
  lost: 'not connected',
  locked: 'locked',
}
const connectionTone: Readonly<Record<State['connection']['kind'], Tone>> = {
  connecting: 'warn',
  live: 'ok',
  lost: 'bad',
  locked: 'warn',
}

const navigation = ({ place, told: { alarms } }: State): Child =>
  element('nav', { 'aria-label': 'Views' }, [
    element(
      'ul',
      {},
      places.map(({ name, label }) => {
        const count = name === 'alarms' ? (alarms?.standing.length ?? 0) : 0
        return element('li', {}, [
          element('a', { href: hashOf({ name }), 'aria-current': name === place.name && 'page' }, [
            label,
            count > 0 && span('count', [`${count}`, element('span', { class: 'unseen' }, ' standing')]),
          ]),
        ])
      }),
    ),
  ])

/** The token is asked for once; it stays with this tab of the browser. */
const lockedPage = (why: string | undefined, acts: Acts): Child =>
  element('main', { class: 'locked', id: 'content' }, [
    element('h1', { id: 'title', tabindex: -1 }, 'Console of a CPNS node'),
    element('p', {}, 'What it shows is for the operator of the node. Make a token on its machine, and enter it here:'),
    element('p', {}, element('code', {}, 'cpns token create NAME --scope operate')),
    element('p', { class: 'note' }, ['Or ', element('code', {}, '--scope read'), ' for who is to look only.']),
    why !== undefined && element('p', { class: 'banner bad', role: 'alert' }, why),
    element(
      'form',
      {},
      [
        element('label', { for: 'token' }, 'Token'),
        element('input', {
          id: 'token',
          name: 'token',
          type: 'password',
          autocomplete: 'off',
          required: true,
          spellcheck: 'false',
        }),
        element('button', { type: 'submit', class: 'primary' }, 'Open the console'),
      ],
      {
        on: {
          submit: event => {
            event.preventDefault()
            const input = document.getElementById('token')
            if (input instanceof HTMLInputElement) acts.unlock(input.value.trim())
          },
        },
      },
    ),
    element('p', { class: 'note' }, 'It is kept in this tab alone, until that is closed.'),
  ])
