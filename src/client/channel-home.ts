import type { MethodSpec } from '../federation/command.ts'
import type { OperatorId } from '../ports/names.ts'
import type { AlwaysOn } from './always-on/always-on.ts'
import type { Home } from './always-on/home.ts'
import type { ChannelHome } from './channels.ts'
import { NotConnected } from './errors.ts'
import type { CallOptions, Session, SessionListener, SessionState } from './session.ts'

/*
 * Channels on an always-on client: each on the servers of one operator, and on its own in what becomes of it. While the home is
 * `direct`, or its client is a guest of another operator, which knows nothing of the channel, the application uses its own server.
 */

/** Where the channels at an operator have their connection. @throws {RangeError} when the client is no subscriber of it */
export function channelHome(alwaysOn: Pick<AlwaysOn, 'home' | 'listen'>, operator: OperatorId): ChannelHome {
  const home = alwaysOn.home(operator)
  return {
    get state() {
      return stateOf(home)
    },
    async call<P, R>(spec: MethodSpec<P, R>, params: P, options?: CallOptions) {
      const { session } = home
      if (!session) throw new NotConnected(`There is no connection to ${operator} now; nothing was asked.`)
      return session.call(spec, params, options)
    },
    listen: listener => followed(alwaysOn, home, listener),
  }
}

function followed(alwaysOn: Pick<AlwaysOn, 'listen'>, home: Home, listener: SessionListener): () => void {
  let session: Session | undefined
  let leave = () => {}
  let told = stateOf(home)

  function attach(): void {
    if (home.session === session) return
    leave()
    session = home.session
    const stop = session?.listen({ notification: (method, params) => listener.notification?.(method, params) })
    leave = () => stop?.()
  }

  const stop = alwaysOn.listen({
    changed(changed) {
      if (changed !== home) return
      attach()
      // Until it has arrived elsewhere it is where it was.
      if (home.state.kind === 'moving') return
      const state = stateOf(home)
      if (isSame(state, told)) return
      told = state
      listener.state?.(state)
    },
  })
  attach()
  return () => {
    stop()
    leave()
  }
}

function stateOf({ operator, state, session }: Home): SessionState {
  switch (state.kind) {
    case 'online':
      if (state.operator === operator) return { kind: 'connected', server: state.server, url: state.url }
      return { kind: 'connecting', attempt: 1, why: `A guest of ${state.operator}.`, isDirect: true }
    case 'moving':
      return session?.state ?? { kind: 'connecting', attempt: 1, why: state.why }
    case 'direct':
      return { kind: 'connecting', attempt: 1, why: state.why, isDirect: true }
    case 'connecting':
      return { kind: 'connecting', attempt: 1, why: 'Trying the servers.' }
    case 'backing-off':
      return { kind: 'connecting', attempt: state.attempt, why: state.why }
    case 'offline':
      // Another policy may let it go on.
      if (state.reason === 'policy') return { kind: 'connecting', attempt: 1, why: state.why }
      return { kind: 'closed', why: state.why }
  }
}

function isSame(a: SessionState, b: SessionState): boolean {
  if (a.kind === 'connected') return b.kind === 'connected' && a.server === b.server && a.url === b.url
  if (a.kind === 'connecting') return b.kind === 'connecting' && a.isDirect === b.isDirect
  return b.kind === 'closed'
}
