import type { z } from 'zod'
import type { Admitted, Resumed } from '../authentication.ts'
import type { RpcError } from '../json-rpc.ts'
import type { challengeRequest, SessionAnswer } from '../protocol.ts'
import type { RedirectTickets } from '../redirect-tickets.ts'
import type { ResumeTickets } from '../resume-tickets.ts'
import type { Guests } from '../roaming/guests.ts'
import type { Admission, Verdict } from './admission.ts'
import type { AuthenticationQueue } from './authentication-queue.ts'

/*
 * What stands between a stranger and the dear part of an authentication: tickets, the decision about this client, the queue.
 */

export interface Entrance {
  /** The client's first word; at most two MACs are computed. */
  consider(
    address: string,
    request: z.infer<typeof challengeRequest>,
  ): { readonly verdict: Verdict; readonly resumed: Resumed | undefined }
  /**
   * Its proof, checked in turn if it is still wanted then; whoever resumes waits for nobody.
   * @throws {WaitedTooLong} and what the work throws
   */
  queue<T>(resumed: Resumed | undefined, work: () => Promise<T>, isWanted: () => boolean): Promise<T>
  /** For who has waited in vain. */
  crowded(): Away
  ticketFor(admitted: Admitted): SessionAnswer['resume']
  readonly isFor: ResumeTickets['isFor']
}

export type Away = Exclude<Verdict, { kind: 'admitted' }>

const crowdedRetryMs = 2_000

export function createEntrance(options: {
  readonly admission: Admission
  readonly queue: AuthenticationQueue
  readonly resumes: ResumeTickets
  readonly redirects: RedirectTickets
  /** Left out: clients of other operators are not taken. */
  readonly guests?: Pick<Guests, 'visited'> | undefined
}): Entrance {
  const { admission, queue, resumes, redirects, guests } = options
  return {
    consider(address, { resume, redirect, roams }) {
      const resumed = resume === undefined ? undefined : resumes.check(resume)
      const redirection = redirect === undefined ? undefined : redirects.take(redirect)
      // Nothing is proved of what another operator's server says before this one has decided to let the client in.
      const visited = redirection?.visited ?? (redirect === undefined ? undefined : guests?.visited(redirect))
      const isGuest = redirection === undefined && visited !== undefined
      const arrival = { address, resume: resumed?.resume, visited, isGuest, roams }
      return { verdict: admission.decide(arrival), resumed }
    },
    queue: (resumed, work, isWanted) => (resumed ? work() : queue.run(work, isWanted)),
    crowded() {
      const target = admission.elsewhere()
      return target ? { kind: 'redirected', ...target } : admission.noRoom(crowdedRetryMs)
    },
    ticketFor: ({ principal: { identity }, class: kind, credential }) =>
      credential && resumes.issue({ identity, class: kind, credential }),
    isFor: resumes.isFor,
  }
}

/** What the client is told. Never that its authentication has failed: it would throw away what it authenticates with. */
export function awayError(verdict: Away): RpcError {
  switch (verdict.kind) {
    case 'redirected': {
      const { server, urls, ticket, isPermanent } = verdict
      const moved = isPermanent ? { isPermanent } : {}
      const redirect = { action: 'redirect' as const, server, urls: [...urls], ticket, ...moved }
      const message = 'This server has too much to do; another one has room.'
      return { code: 307, message, data: { status: 307, reason: 'REDIRECT', redirect } }
    }
    case 'direct': {
      const { retryAfterMs } = verdict
      const message = 'No server has room now. Use your own server directly meanwhile, and come back later.'
      const redirect = { action: 'direct' as const }
      return { code: 503, message, data: { status: 503, reason: 'OVERLOADED', retryAfterMs, redirect } }
    }
    case 'busy': {
      const { retryAfterMs } = verdict
      const message = 'No server has room now. Come back later.'
      return { code: 503, message, data: { status: 503, reason: 'OVERLOADED', retryAfterMs } }
    }
    case 'limited': {
      const { retryAfterMs } = verdict
      const message = 'Too many attempts from this address. Wait.'
      return { code: 429, message, data: { status: 429, reason: 'RATE_LIMITED', retryAfterMs } }
    }
  }
}
