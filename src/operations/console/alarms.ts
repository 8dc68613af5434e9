import type { Alarm, FederationMap, MapOperator, MapServer, Overview } from './shapes.ts'

/* What an operator should know of, as a function of how the node and its federation are. */

const dayMs = 86_400_000
const minuteMs = 60_000
/** How long before it runs out a manifest is warned of: time to fetch root keys from where they are kept. */
export const expiresSoonMs = 30 * dayMs
/** A clock that is further off stamps what is written by it wrongly. */
export const maxSkewMs = 5 * minuteMs

/** The gravest first. */
export function alarmsOf(overview: Overview, { operators }: FederationMap): readonly Alarm[] {
  const alarms = [...loadAlarms(overview), ...operators.flatMap(operator => operatorAlarms(operator, overview.at))]
  return alarms.toSorted((a, b) => rank(a) - rank(b))
}

const rank = ({ severity }: Alarm): number => (severity === 'critical' ? 0 : 1)

function loadAlarms({ state, level, cause, unshared, links, damaged }: Overview): Alarm[] {
  const alarms: Alarm[] = []
  if (state === 'draining') {
    alarms.push({
      id: 'draining',
      severity: 'warning',
      title: 'This server drains: clients are sent to others, and then it ends.',
      todo: 'Start it again when it is to serve again.',
    })
  } else if (level === 'overloaded' || level === 'shedding') {
    alarms.push({
      id: 'load',
      severity: level === 'shedding' ? 'critical' : 'warning',
      title: `This server is ${level}${cause ? ` by ${cause}` : ''}.`,
      todo: 'New clients are sent elsewhere, unless load.controlled is off. Give it more of what it lacks, or add a server to this operator.',
    })
  }
  if (damaged > 0) {
    alarms.push({
      id: 'damaged',
      severity: 'critical',
      title: `The disk has damaged ${damaged} ${damaged === 1 ? 'document' : 'documents'}: clients are refused there until other servers have made it whole.`,
      todo: 'Look at the disk; “cpns doctor” does too. What no other server holds has to come from a backup.',
    })
  }
  if (unshared > 0 && links.all > 0 && links.up === 0) {
    alarms.push({
      id: 'alone',
      severity: 'warning',
      title: `${unshared} ${unshared === 1 ? 'document has' : 'documents have'} changes that only this server is known to hold.`,
      todo: 'They go to other servers as soon as there is a link. Do not lose this disk meanwhile.',
    })
  }
  return alarms
}

function operatorAlarms(operator: MapOperator, now: number): Alarm[] {
  return [...manifestAlarms(operator, now), ...reachAlarms(operator), ...operator.servers.flatMap(skewAlarms)]
}

function manifestAlarms({ operator, isOwn, manifest, expires = 0 }: MapOperator, now: number): Alarm[] {
  const whose = isOwn ? 'The manifest of this operator' : `The manifest of ${operator}`
  const renew = isOwn
    ? 'Sign a new one with “cpns manifest sign”: without it nobody links with this operator.'
    : 'Ask that operator to sign a new one: it comes by itself, and links with it.'
  if (manifest === 'missing') {
    const todo = 'Bring its manifest with “cpns peer trust”.'
    return [{ id: `manifest-missing ${operator}`, severity: 'warning', title: `${whose} has not come yet.`, todo }]
  }
  if (manifest === 'expired') {
    return [
      {
        id: `manifest-expired ${operator}`,
        severity: 'critical',
        title: `${whose} has expired.`,
        todo: renew,
        since: expires,
      },
    ]
  }
  if (expires - now > expiresSoonMs) return []
  const days = Math.max(1, Math.ceil((expires - now) / dayMs))
  const title = `${whose} expires in ${days} ${days === 1 ? 'day' : 'days'}.`
  return [{ id: `manifest-expires ${operator}`, severity: 'warning', title, todo: renew }]
}

function reachAlarms({ operator, isOwn, reach, servers }: MapOperator): Alarm[] {
  const since = Math.max(...servers.map(({ since = 0 }) => since))
  const from = since > 0 ? { since } : {}
  const down = servers.filter(({ link }) => link === 'down' || link === 'connecting' || link === 'greeting').length
  switch (reach) {
    case 'cut-off':
      return [
        {
          id: `cut-off ${operator}`,
          severity: 'critical',
          title: isOwn ? 'No other server of this operator can be reached.' : `${operator} cannot be reached.`,
          todo: 'Both sides go on, and agree when the link is back. Look at the network between the servers, and whether those run.',
          ...from,
        },
      ]
    case 'partly':
      return [
        {
          id: `partly ${operator}`,
          severity: 'warning',
          title: `${down} of ${servers.filter(({ isSelf }) => !isSelf).length} servers of ${isOwn ? 'this operator' : operator} cannot be reached.`,
          todo: 'What they lack comes to them over others, or when they are back.',
          ...from,
        },
      ]
    default:
      return []
  }
}

function skewAlarms({ server, clockSkewMs = 0, clockUncertaintyMs = 0 }: MapServer): Alarm[] {
  if (Math.abs(clockSkewMs) - clockUncertaintyMs <= maxSkewMs) return []
  const minutes = Math.round(Math.abs(clockSkewMs) / minuteMs)
  return [
    {
      id: `skew ${server}`,
      severity: 'critical',
      title: `The clock of ${server} is ${minutes} minutes ${clockSkewMs > 0 ? 'ahead of' : 'behind'} this one.`,
      todo: 'Find out which of the two is wrong: the later word counts, by these clocks. Both should follow a time server.',
    },
  ]
}
