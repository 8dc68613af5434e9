import { trafficClasses } from './run-data.ts'
import { colours } from './svg.ts'

/*
 * The same figures as Vega-Lite specifications, for whoever wants them in another style. Each reads `../data.json` beside it.
 */

type Spec = Readonly<Record<string, unknown>>

const schema = 'https://vega.github.io/schema/vega-lite/v6.json'
const size = { width: 560, height: 260 }
/** Named, since Vega-Lite takes two sources of one address and no name for the same, whatever part of the file each asks for. */
const from = (property: string): Spec => ({ name: property, url: '../data.json', format: { type: 'json', property } })
const seconds = (field = 'timeMs'): Spec => ({ calculate: `datum.${field} / 1000`, as: 'seconds' })
const time: Spec = { field: 'seconds', type: 'quantitative', title: 'virtual time (s)' }

/** Bands at the times of faults, to be laid under a figure over time. */
const faultLayer: Spec = {
  data: from('faults'),
  transform: [
    { calculate: 'datum.fromMs / 1000', as: 'from' },
    { calculate: '(isValid(datum.untilMs) ? datum.untilMs : datum.fromMs) / 1000', as: 'until' },
  ],
  mark: { type: 'rect', color: '#7f7f7f', opacity: 0.13 },
  encoding: { x: { field: 'from', type: 'quantitative' }, x2: { field: 'until' }, tooltip: { field: 'what' } },
}

const lineOf = (data: string, y: Spec, transform: readonly Spec[], colour?: Spec): Spec => ({
  data: from(data),
  transform,
  mark: { type: 'line', interpolate: 'step-after' },
  encoding: { x: time, y, ...(colour && { color: { ...colour, scale: { range: colours } } }) },
})

const overTime = (title: string, layer: Spec): Spec => ({ $schema: schema, title, ...size, layer: [faultLayer, layer] })

/** Specifications by the name of their file. */
export const vegaLiteSpecs: Readonly<Record<string, Spec>> = {
  replicas: overTime(
    'Replicas that are current',
    lineOf(
      'replicas',
      { field: 'share', type: 'quantitative', axis: { format: '%' } },
      [seconds(), { fold: ['current', 'serving'], as: ['what', 'share'] }],
      {
        field: 'what',
        type: 'nominal',
      },
    ),
  ),
  staleness: overTime(
    'How old what a replica lacks is',
    lineOf(
      'replicas',
      { field: 'age', type: 'quantitative', scale: { type: 'symlog' }, title: 'age (s)' },
      [
        seconds(),
        ...['max', 'p99', 'p90', 'p50'].map(name => ({ calculate: `datum.staleMs.${name} / 1000`, as: name })),
        { fold: ['max', 'p99', 'p90', 'p50'], as: ['quantile', 'age'] },
      ],
      { field: 'quantile', type: 'nominal' },
    ),
  ),
  lacking: overTime(
    'How much a replica lacks',
    lineOf(
      'replicas',
      { field: 'entries', type: 'quantitative', scale: { type: 'symlog' } },
      [
        seconds(),
        ...['max', 'p99', 'p50'].map(name => ({ calculate: `datum.lacks.${name}`, as: name })),
        { fold: ['max', 'p99', 'p50'], as: ['quantile', 'entries'] },
      ],
      { field: 'quantile', type: 'nominal' },
    ),
  ),
  latency: {
    $schema: schema,
    title: 'How long it takes',
    ...size,
    data: from('latencies'),
    transform: [
      { flatten: ['quantiles'], as: ['point'] },
      { calculate: 'datum.point[0]', as: 'share' },
      { calculate: 'max(0.1, datum.point[1])', as: 'ms' },
    ],
    mark: { type: 'line' },
    encoding: {
      x: { field: 'ms', type: 'quantitative', scale: { type: 'log' }, title: 'milliseconds of virtual time' },
      y: { field: 'share', type: 'quantitative', axis: { format: '%' } },
      color: { field: 'what', type: 'nominal', scale: { range: colours } },
      order: { field: 'share' },
    },
  },
  traffic: overTime('What is sent', {
    data: from('bytes'),
    transform: [
      seconds(),
      { window: [{ op: 'lag', field: 'timeMs', as: 'before' }], sort: [{ field: 'timeMs' }] },
      ...trafficClasses.map(name => ({
        calculate: `datum.byClass.${name} / 1024 / max(0.001, (datum.timeMs - (isValid(datum.before) ? datum.before : 0)) / 1000)`,
        as: name,
      })),
      { fold: trafficClasses, as: ['class', 'rate'] },
    ],
    mark: { type: 'area', interpolate: 'step-before' },
    encoding: {
      x: time,
      y: { field: 'rate', type: 'quantitative', stack: true, title: 'KiB/s' },
      color: { field: 'class', type: 'nominal', sort: trafficClasses, scale: { range: colours } },
    },
  }),
  links: {
    $schema: schema,
    title: 'Who sends to whom',
    width: 400,
    height: 400,
    data: from('linkBytes'),
    transform: [
      // A row of the matrix is an array, and as such is the datum itself.
      { calculate: 'slice(datum)', as: 'cells' },
      { window: [{ op: 'row_number', as: 'number' }] },
      { calculate: 'datum.number - 1', as: 'row' },
      { calculate: 'sequence(length(datum.cells))', as: 'columns' },
      { flatten: ['cells', 'columns'], as: ['bytes', 'column'] },
    ],
    mark: 'rect',
    encoding: {
      x: { field: 'column', type: 'ordinal', title: 'to (server, from 0)' },
      y: { field: 'row', type: 'ordinal', title: 'from (server, from 0)' },
      color: { field: 'bytes', type: 'quantitative', scale: { scheme: 'blues' } },
    },
  },
}
