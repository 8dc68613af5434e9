import type { Alarm, LogEvent } from '../shapes.ts'
import { countText, dateText, durationText, timeText } from './format.ts'
import { type Child, element } from './tree.ts'
import { badge, code, nothing, panel, table, type View } from './view.ts'

/* What an operator should know of: what is so now, and what the node has warned of since it started. */

export const alarmsView: View = ({ told }) => {
  const { alarms, overview } = told
  if (!alarms || !overview) return [nothing('Waiting for the node …')]
  const { standing, events } = alarms
  return [
    panel('Now', [
      standing.length === 0
        ? nothing('Nothing is wrong, as far as this node knows.')
        : element(
            'ul',
            { class: 'alarms' },
            standing.map(alarm => alarmItem(alarm, overview.at)),
          ),
    ]),
    panel('Warnings and errors of the log', [
      events.length === 0
        ? nothing('There were none since the node started.')
        : table<LogEvent>(
            'The latest first',
            [
              { title: 'When', of: ({ at }) => timeText(at), isWhole: true },
              {
                title: 'Level',
                of: ({ level }) => badge(level === 'error' ? 'bad' : 'warn', level === 'error' ? 'error' : 'warning'),
              },
              { title: 'Event', of: ({ event }) => code(event), isWhole: true },
              { title: 'What', of: ({ fields }) => fieldsText(fields) },
              { title: 'Times', of: ({ times }) => countText(times), isNumber: true },
            ],
            events,
            ({ at, event, times }) => `${at} ${event} ${times}`,
          ),
    ]),
  ]
}

const alarmItem = ({ id, severity, title, todo, since }: Alarm, now: number): Child =>
  element(
    'li',
    { class: severity },
    [
      element('p', {}, [badge(severity === 'critical' ? 'bad' : 'warn', severity), ' ', element('strong', {}, title)]),
      element('p', { class: 'todo' }, todo),
      since !== undefined &&
        element('p', { class: 'note' }, `Since ${dateText(since)}, for ${durationText(now - since)}.`),
    ],
    { key: id },
  )

const fieldsText = (fields: LogEvent['fields']): string =>
  Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}`)
    .join(', ')
