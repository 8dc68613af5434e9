import type { MailboxPage, MailboxReport } from '../../inspection/shapes.ts'
import { whenAsked } from './asked.ts'
import { bytesText, countText, dateText, plural } from './format.ts'
import { listed, matching, searchField } from './listing.ts'
import { hashOf } from './state.ts'
import { type Child, element } from './tree.ts'
import { type Acts, badge, code, name, nothing, panel, table, tile, tiles, type View } from './view.ts'

/* Mailboxes by what can be counted, and how far they are in step. What users say and call things is not shown. */

type Summary = MailboxPage['items'][number]

export const mailboxesView: View = (state, acts) => {
  const { item } = state.place
  if (item !== undefined) return mailboxView(item, acts)
  const list = listed<Summary>('/v1/mailboxes', state, acts)
  return [
    panel('Mailboxes', [
      searchField('Search', 'user, operator', state, acts),
      ...list.show(all =>
        mailboxesTable(matching(all, state.search.mailboxes, ({ user, operator }) => [user, operator])),
      ),
    ]),
  ]
}

const mailboxesTable = (mailboxes: readonly Summary[]): readonly Child[] =>
  mailboxes.length === 0
    ? [nothing('There is none to show.')]
    : [
        table<Summary>(
          plural(mailboxes.length, 'mailbox', 'mailboxes'),
          [
            {
              title: 'User',
              of: ({ operator, user }) =>
                element(
                  'a',
                  { href: hashOf({ name: 'mailboxes', item: `${operator}/${user}` }), class: 'name', title: user },
                  user,
                ),
            },
            { title: 'Operator', of: ({ operator }) => name(operator) },
            { title: 'State', of: ({ state }) => badge(state === 'live' ? 'ok' : 'quiet', state) },
            { title: 'Objects', of: ({ objects }) => countText(objects), isNumber: true },
            { title: 'Size', of: ({ usedBytes }) => bytesText(usedBytes), isNumber: true },
            { title: 'Conversations', of: ({ conversations }) => countText(conversations), isNumber: true },
            { title: 'Devices', of: ({ devices }) => countText(devices), isNumber: true },
            { title: 'Changed', of: ({ changed }) => (changed === undefined ? 'never' : dateText(changed)) },
          ],
          mailboxes,
          ({ operator, user }) => `${operator}/${user}`,
        ),
      ]

function mailboxView(item: string, acts: Acts): readonly Child[] {
  const [operator = '', user = ''] = item.split('/')
  const asked = acts.ask(`/v1/mailboxes/${encodeURIComponent(operator)}/${encodeURIComponent(user)}`)
  return [
    element('p', {}, element('a', { href: hashOf({ name: 'mailboxes' }) }, 'All mailboxes')),
    ...whenAsked<MailboxReport>(asked, report => [about(report), devices(report), writers(report), containers(report)]),
  ]
}

const about = (report: MailboxReport): Child =>
  panel('Counts', [
    tiles([
      tile('Objects', countText(report.objects), bytesText(report.usedBytes)),
      tile('Conversations', countText(report.conversations)),
      tile('Folders', countText(report.folders)),
      tile('Addresses', countText(report.addresses)),
      tile('Subscribers', countText(report.subscribers)),
      tile('Granted to', countText(report.grants), report.grants === 1 ? 'operator' : 'operators'),
    ]),
  ])

const devices = ({ deviceStates }: MailboxReport): Child =>
  panel('Devices', [
    deviceStates.length === 0
      ? nothing('There is none.')
      : table<MailboxReport['deviceStates'][number]>(
          'How far each was told of what has changed',
          [
            { title: 'Device', of: ({ device }) => name(device) },
            { title: 'Subscriber', of: ({ subscriber }) => name(subscriber) },
            {
              title: 'Told of',
              of: ({ behind }) =>
                behind === undefined
                  ? '–'
                  : behind === 0
                    ? badge('ok', 'everything')
                    : badge('warn', `all but ${plural(behind, 'change')}`),
            },
            { title: 'Web Push', of: ({ push }) => (push === undefined ? '–' : push ? 'yes' : 'no') },
          ],
          deviceStates,
          ({ device }) => device,
        ),
  ])

const writers = ({ writers: all }: MailboxReport): Child =>
  panel('Synchronisation', [
    all.length === 0
      ? nothing('Nothing was written yet.')
      : table<MailboxReport['writers'][number]>(
          'How far each writer of the mailbox has come: what a sync token compares',
          [
            { title: 'Writer', of: ({ run }) => code(run) },
            { title: 'Commits', of: ({ commits }) => countText(commits), isNumber: true },
            { title: 'Last', of: ({ last }) => dateText(last) },
          ],
          all,
          ({ run }) => run,
        ),
  ])

const containers = ({ containers: all }: MailboxReport): Child =>
  panel('Conversations and folders', [
    all.length === 0
      ? nothing('There is none with something in it.')
      : table<MailboxReport['containers'][number] & { readonly at: number }>(
          'By size alone',
          [
            { title: 'No.', of: ({ at }) => countText(at), isNumber: true },
            { title: 'Kind', of: ({ kind }) => kind },
            { title: 'Objects', of: ({ objects }) => countText(objects), isNumber: true },
            { title: 'Size', of: ({ usedBytes }) => bytesText(usedBytes), isNumber: true },
            {
              title: 'Held here',
              of: ({ parts, missing }) =>
                missing === 0 ? badge('ok', 'whole') : badge('warn', `${missing} of ${plural(parts, 'part')} missing`),
            },
          ],
          all.toSorted((a, b) => b.objects - a.objects).map((container, at) => ({ ...container, at: at + 1 })),
          ({ container }) => container,
        ),
  ])
