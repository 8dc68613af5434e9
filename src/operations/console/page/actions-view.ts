import type { Action } from '../shapes.ts'
import type { Confirming } from './state.ts'
import { box, type Child, element } from './tree.ts'
import { type Acts, nothing, panel, type View } from './view.ts'

/* What can be done to the node from here; each asks for a word first. */

export const actionsView: View = ({ told }, acts) => {
  const { overview, actions = [] } = told
  if (!overview) return [nothing('Waiting for the node …')]
  const isDraining = overview.state === 'draining'
  return [
    panel('Drain', [
      element(
        'p',
        {},
        'Sends clients on to other servers, waits until another server holds what only this one does, and ends the node. It is not undone: the node is started again by hand or by what supervises it.',
      ),
      isDraining
        ? element(
            'p',
            { class: 'banner warn' },
            `It drains: ${overview.drain?.left ?? 0} ${overview.drain?.phase ?? 'clients'} left.`,
          )
        : button('Drain this server …', true, () =>
            acts.confirm({
              method: 'POST',
              path: '/v1/drain',
              body: {},
              label: 'Drain this server',
              text: `${overview.server} of ${overview.operator} sends its ${overview.connections} clients on, hands over what only it holds, and ends.`,
              isGrave: true,
            }),
          ),
    ]),
    panel('Other operators', [
      element('p', {}, [
        'To trust another operator, to keep one off or to work with it again: ',
        element('a', { href: '#/federation' }, 'Federation'),
        '.',
      ]),
    ]),
    actions.length > 0 && panel('More', [actionButtons(actions, acts)]),
  ]
}

export const actionButtons = (actions: readonly Action[], acts: Acts): Child =>
  box(
    'actions',
    actions.map(({ label, text, path, isGrave }) =>
      button(label, isGrave, () => acts.confirm({ method: 'POST', path, body: {}, label, text, isGrave })),
    ),
  )

export const button = (label: string, isGrave: boolean, click: () => void): Child =>
  element('button', { type: 'button', class: isGrave ? 'grave' : 'plain' }, label, { on: { click } })

/** Asks for a word. What is shown behind it can not be reached meanwhile. */
export const confirmation = ({ label, text, isGrave, asks, stage, error }: Confirming, acts: Acts): Child =>
  element(
    'dialog',
    { id: 'confirmation', 'aria-labelledby': 'confirmation-title', 'aria-describedby': 'confirmation-text' },
    [
      element('h2', { id: 'confirmation-title' }, `${label}?`),
      element('p', { id: 'confirmation-text' }, text),
      error !== undefined && element('p', { class: 'banner bad', role: 'alert' }, error),
      element(
        'form',
        {},
        [
          asks && element('label', { for: 'confirmation-said' }, asks.label),
          asks &&
            element('input', { id: 'confirmation-said', required: true, maxlength: asks.most, autocomplete: 'off' }),
          box('actions', [
            element('button', { type: 'button', class: 'plain' }, stage === 'sent' ? 'Close' : 'Cancel', {
              on: { click: () => acts.answer(false) },
            }),
            element(
              'button',
              { type: 'submit', class: isGrave ? 'grave' : 'primary', disabled: stage === 'sent' },
              label,
            ),
          ]),
        ],
        {
          on: {
            submit: event => {
              event.preventDefault()
              const input = document.getElementById('confirmation-said')
              acts.answer(true, input instanceof HTMLInputElement ? input.value : undefined)
            },
          },
        },
      ),
    ],
    {
      on: {
        cancel: event => {
          event.preventDefault()
          acts.answer(false)
        },
      },
    },
  )
