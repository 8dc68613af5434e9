import type { MethodSpec } from '../../federation/command.ts'
import { NotConnected } from '../errors.ts'
import type { CallOptions, Session, SessionListener, SessionState } from '../session.ts'
import type { HomeState } from './home.ts'

/** What of a session is the same wherever the client is: what is built on it need not know of homes, moves and policies. */
export type Link = Pick<Session, 'state' | 'call' | 'listen'>

/** A link that stays the same while sessions come and go. */
export class HomeSessions implements Link {
  readonly #home: { readonly state: HomeState }
  readonly #listeners = new Set<SessionListener>()
  #session: Session | undefined

  constructor(home: { readonly state: HomeState }) {
    this.#home = home
  }

  /** Calls go over this session from now on; `undefined`: there is none for now. */
  carryOver(session: Session | undefined): void {
    this.#session = session
    session?.listen({
      notification: (method, params) => this.#tell(listener => listener.notification?.(method, params)),
      bytes: frame => this.#tell(listener => listener.bytes?.(frame)),
    })
  }

  /** To be said whenever the state may be another one. */
  changed(): void {
    const { state } = this
    this.#tell(listener => listener.state?.(state))
  }

  get state(): SessionState {
    return stateOf(this.#home.state, this.#session?.state)
  }

  call<P, R>(spec: MethodSpec<P, R>, params: P, options?: CallOptions): Promise<R> {
    if (this.#session) return this.#session.call(spec, params, options)
    const { state } = this
    return Promise.reject(new NotConnected('why' in state ? state.why : 'There is no connection.'))
  }

  listen(listener: SessionListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #tell(event: (listener: SessionListener) => void): void {
    for (const listener of [...this.#listeners]) event(listener)
  }
}

function stateOf(home: HomeState, session: SessionState | undefined): SessionState {
  const beginning = { kind: 'connecting', attempt: 1, why: 'About to connect.' } as const
  switch (home.kind) {
    case 'online':
    case 'moving':
      return session ?? beginning
    case 'connecting':
      return beginning
    case 'backing-off':
      return { ...beginning, attempt: home.attempt, why: home.why, pauseMs: home.pauseMs }
    case 'direct': {
      const attempt = session?.kind === 'connecting' ? session : beginning
      return { ...attempt, why: home.why, isDirect: true }
    }
    case 'offline':
      // What a policy holds back comes when another one lets it.
      return home.reason === 'policy' ? { ...beginning, why: home.why } : { kind: 'closed', why: home.why }
  }
}
