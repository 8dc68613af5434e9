import type { DocumentHistory, DocumentPage, DocumentReport } from '../../inspection/shapes.ts'
import { whenAsked } from './asked.ts'
import { bytesText, countText, dateText, plural, shortId } from './format.ts'
import { listed, searchField } from './listing.ts'
import { hashOf } from './state.ts'
import { type Child, element, span } from './tree.ts'
import { type Acts, badge, code, name, nothing, panel, table, tile, tiles, type View } from './view.ts'

/* Documents as their logs are: who has written how much, who is known to hold it, and how it came to be what it is. */

type Summary = DocumentPage['items'][number]

const shownEntries = 100

export const documentsView: View = (state, acts) => {
  const { item } = state.place
  if (item !== undefined) return documentView(item, acts)
  const prefix = state.search.documents ?? ''
  const list = listed<Summary>('/v1/documents', state, acts, prefix === '' ? {} : { prefix })
  return [
    panel('Documents', [
      searchField('Begins with', 'pn/a.example/, mailbox/, …', state, acts),
      ...list.show(all =>
        all.length === 0
          ? [nothing('There is none to show.')]
          : [
              table<Summary>(
                plural(all.length, 'document'),
                [
                  {
                    title: 'Document',
                    of: ({ document }) =>
                      element('a', { href: hashOf({ name: 'documents', item: document }) }, document),
                  },
                  { title: 'Owner', of: ({ owner }) => name(owner) },
                  { title: 'Entries', of: ({ entries }) => countText(entries), isNumber: true },
                  { title: 'Size', of: ({ bytes }) => bytesText(bytes), isNumber: true },
                  {
                    title: 'Logs',
                    of: ({ logs, forked }) => [countText(logs), forked > 0 && badge('bad', `${forked} forked`)],
                    isNumber: true,
                  },
                  { title: 'Digest', of: ({ digest }) => code(digest, `${digest.slice(0, 10)}…`) },
                ],
                all,
                ({ document }) => document,
              ),
            ],
      ),
    ]),
  ]
}

function documentView(id: string, acts: Acts): readonly Child[] {
  const query = new URLSearchParams({ id })
  const report = acts.ask(`/v1/document?${query}`)
  const history = acts.ask(`/v1/document/history?${query}&limit=${shownEntries}`)
  return [
    element('p', {}, element('a', { href: hashOf({ name: 'documents' }) }, 'All documents')),
    ...whenAsked<DocumentReport>(report, found => [about(found), holders(found), authors(found)]),
    panel('History', whenAsked<DocumentHistory>(history, entriesOf)),
  ]
}

const about = ({ owner, entries, bytes, logs, epoch, digest }: DocumentReport): Child =>
  panel('Version', [
    tiles([
      tile('Entries', countText(entries), bytesText(bytes)),
      tile('Logs', countText(logs)),
      tile('Rebuilt', countText(epoch), epoch === 1 ? 'time' : 'times'),
      tile('Owner', owner),
    ]),
    element('dl', { class: 'facts' }, [element('dt', {}, 'Digest'), element('dd', {}, code(digest))]),
  ])

/** Where it is known to be the same: a receipt that lacks nothing names every entry that is here. */
const holders = ({ receipts }: DocumentReport): Child =>
  panel('Held by other servers', [
    receipts.length === 0
      ? nothing(
          'No other server has said what it holds of this document. Receipts come for documents that this server writes.',
        )
      : table<DocumentReport['receipts'][number]>(
          'What each has said that it durably holds',
          [
            { title: 'Server', of: ({ server }) => code(server, shortId(server)) },
            {
              title: 'Holds',
              of: ({ lacks }) =>
                lacks === 0 ? badge('ok', 'the same') : badge('warn', `all but ${plural(lacks, 'entry', 'entries')}`),
            },
          ],
          receipts,
          ({ server }) => server,
        ),
  ])

const authors = ({ authors: all, superseded }: DocumentReport): Child => {
  const rows = all.flatMap(({ server, logs }) => logs.map(log => ({ server, ...log })))
  return panel('Logs by author', [
    table<(typeof rows)[number]>(
      'The version: how many entries of each log count',
      [
        { title: 'Author', of: ({ server }) => code(server, shortId(server)) },
        { title: 'Log', of: ({ log }) => code(log) },
        { title: 'Entries', of: ({ entries }) => countText(entries), isNumber: true },
        { title: 'Size', of: ({ bytes }) => bytesText(bytes), isNumber: true },
        { title: 'State', of: ({ isForked }) => (isForked ? badge('bad', 'forked') : badge('ok', 'sound')) },
      ],
      rows,
      ({ log }) => log,
    ),
    superseded.length > 0 &&
      element(
        'p',
        { class: 'note' },
        `${plural(superseded.length, 'log')} superseded: what counts of them was copied.`,
      ),
  ])
}

const entriesOf = ({ entries, total, isWhole }: DocumentHistory): readonly Child[] => [
  element(
    'p',
    { class: 'note' },
    isWhole
      ? 'Nothing of it was dropped.'
      : 'It was compacted: what had been overwritten or removed by then is not in its logs any more.',
  ),
  table<DocumentHistory['entries'][number]>(
    `The latest ${countText(entries.length)} of ${plural(total, 'entry', 'entries')}`,
    [
      { title: 'When', of: ({ at }) => (at === 0 ? '–' : dateText(at)) },
      { title: 'Author', of: ({ server }) => code(server, shortId(server)) },
      { title: 'Entry', of: ({ log, seq }) => [code(log, log.slice(0, 6)), ` no. ${countText(seq)}`] },
      { title: 'Size', of: ({ bytes }) => bytesText(bytes), isNumber: true },
      { title: 'Sets', of: entry => setsOf(entry) },
    ],
    entries.toReversed(),
    ({ log, seq }) => `${log}/${seq}`,
  ),
]

function setsOf({ kinds, supersedes, counts }: DocumentHistory['entries'][number]): readonly Child[] {
  const said = Object.entries(kinds).map(([kind, count]) => (count === 1 ? kind : `${kind} × ${countText(count)}`))
  return [
    said.join(', '),
    supersedes > 0 && span('note', ` takes the place of ${plural(supersedes, 'log')}`),
    !counts && badge('bad', 'does not count'),
  ]
}
