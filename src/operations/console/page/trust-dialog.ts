import type { ExaminedManifest } from '../../admin/trusting.ts'
import { dateText, plural } from './format.ts'
import type { Trusting } from './state.ts'
import { box, type Child, element, span } from './tree.ts'
import { type Acts, nothing } from './view.ts'

/*
 * To trust another operator: its manifest is brought, the node says what is in it, a person compares the fingerprint of its root keys
 * with that operator over another channel, says so, and only then it is trusted.
 */

export function trustDialog(trusting: Trusting, acts: Acts): Child {
  const { found, error } = trusting
  return element(
    'dialog',
    { class: 'wide', 'aria-labelledby': 'trust-title' },
    [
      element('h2', { id: 'trust-title' }, found ? `Trust ${found.operator}?` : 'Trust an operator'),
      error !== undefined && element('p', { class: 'banner bad', role: 'alert' }, error),
      ...(found ? compared(found, trusting, acts) : brought(trusting, acts)),
    ],
    {
      on: {
        cancel: event => {
          event.preventDefault()
          acts.trusting.end()
        },
      },
    },
  )
}

/** The manifest, as a file or as text. */
const brought = ({ isAsking }: Trusting, acts: Acts): readonly Child[] => [
  element('p', {}, 'The other operator gives you its manifest, the file manifest.json. It holds no secret.'),
  element(
    'form',
    {},
    [
      element('label', { for: 'manifest-file' }, 'File of the manifest'),
      element(
        'input',
        { id: 'manifest-file', type: 'file', accept: '.json,application/json', disabled: isAsking },
        [],
        {
          on: { change: event => void examineFile(event, acts) },
        },
      ),
      element('label', { for: 'manifest-text' }, 'Or its text'),
      element('textarea', { id: 'manifest-text', rows: 5, required: true, spellcheck: 'false', autocomplete: 'off' }),
      box('actions', [
        cancelButton(acts),
        element('button', { type: 'submit', class: 'primary', disabled: isAsking }, 'Examine it'),
      ]),
    ],
    {
      key: 'brought',
      on: {
        submit: event => {
          event.preventDefault()
          const field = document.getElementById('manifest-text')
          if (field instanceof HTMLTextAreaElement) acts.trusting.examine(field.value)
        },
      },
    },
  ),
]

async function examineFile(event: Event, acts: Acts): Promise<void> {
  const { target } = event
  const file = target instanceof HTMLInputElement ? target.files?.[0] : undefined
  if (file) acts.trusting.examine(await file.text())
}

/** What it says, for comparison. */
function compared(found: ExaminedManifest, { isAsking }: Trusting, acts: Acts): readonly Child[] {
  const facts = factsOf(found)
  const obstacle = obstacleOf(found)
  return [
    facts,
    obstacle === undefined
      ? element(
          'p',
          { id: 'trust-text' },
          `Ask ${found.operator} for its root fingerprint by another way than the manifest came, such as by telephone. Only if it is the same to the last character is this its manifest. Once it is trusted, your servers and its servers link; what it may see of yours, grants say.`,
        )
      : element('p', { class: `banner ${found.standing === 'trusted' && !found.isExpired ? 'ok' : 'bad'}` }, obstacle),
    element(
      'form',
      {},
      [
        obstacle === undefined &&
          element('label', { class: 'check' }, [
            element('input', { id: 'compared', type: 'checkbox', required: true }),
            span('', `I have compared the fingerprint with ${found.operator}.`),
          ]),
        box('actions', [
          cancelButton(acts),
          element('button', { type: 'button', class: 'plain' }, 'Another manifest', {
            on: { click: () => acts.trusting.back() },
          }),
          obstacle === undefined &&
            element(
              'button',
              { type: 'submit', class: 'primary', disabled: isAsking },
              isAsking ? 'It is done …' : `Trust ${found.operator}`,
            ),
        ]),
      ],
      {
        key: 'compared',
        on: {
          submit: event => {
            event.preventDefault()
            acts.trusting.confirm()
          },
        },
      },
    ),
  ]
}

/** Why it cannot be trusted, or need not be. */
function obstacleOf({ standing, isExpired, operator }: ExaminedManifest): string | undefined {
  if (standing === 'own') return 'This is the manifest of this operator itself.'
  if (isExpired) return `It has expired: ask ${operator} for its newest one.`
  return standing === 'trusted' ? `${operator} is trusted already.` : undefined
}

const charsInGroup = 4

function factsOf({ fingerprint, rootKeys, threshold, seq, issued, expires, servers }: ExaminedManifest): Child {
  const groups = fingerprint.match(new RegExp(`.{1,${charsInGroup}}`, 'g')) ?? []
  const fact = (title: string, child: Child | readonly Child[]) => [element('dt', {}, title), element('dd', {}, child)]
  return element('dl', { class: 'facts' }, [
    ...fact(
      'Root fingerprint',
      element(
        'code',
        { class: 'fingerprint', title: fingerprint },
        groups.map(group => span('', group)),
      ),
    ),
    ...fact('Signed by at least', `${threshold} of ${plural(rootKeys, 'root key')}`),
    ...fact('Manifest', `no. ${seq}, of ${dateText(issued)}`),
    ...fact('Good until', dateText(expires)),
    ...fact(
      plural(servers.length, 'server'),
      servers.length === 0
        ? nothing('It names none.')
        : element(
            'ul',
            { class: 'named-servers' },
            servers.map(({ server, addresses }) =>
              element('li', {}, [element('code', {}, server), span('note', ` ${addresses.join(', ')}`)], {
                key: server,
              }),
            ),
          ),
    ),
  ])
}

const cancelButton = (acts: Acts): Child =>
  element('button', { type: 'button', class: 'plain' }, 'Cancel', { on: { click: () => acts.trusting.end() } })
