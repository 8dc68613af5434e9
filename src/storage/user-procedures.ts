import type { MethodSpec } from '../federation/command.ts'
import type { Authority } from './authority.ts'
import type { Admit } from './create-storage.ts'
import type { Procedure } from './dispatch.ts'
import {
  directoryFind,
  directorySetGroup,
  mailboxGrantMethod,
  userChange,
  userList,
  userRegister,
  userRemove,
  userShow,
} from './methods/users.ts'
import type { Users } from './users.ts'

/* The methods of users and directory, each with who may call it. */

export function userProcedures(
  offer: <P, R>(procedure: Procedure<P, R>) => void,
  { users, authority, admit }: { readonly users: Users; readonly authority: Authority; readonly admit: Admit },
): void {
  /** For an operator's own systems alone. */
  const provision = <P, R>(
    spec: MethodSpec<P, R>,
    execute: Procedure<P, R>['execute'],
    query: Pick<Procedure<P, R>, 'isQuery'> = {},
  ): void =>
    offer({
      spec,
      kind: 'operator',
      ...query,
      async execute(params, principal) {
        await authority.requireProvisioning(principal)
        return execute(params, principal)
      },
    })

  provision(userRegister, (params, principal) => users.register(params, principal))
  provision(userChange, params => users.change(params))
  provision(userRemove, ({ user }) => users.remove(user))
  offer({
    spec: userShow,
    kind: 'read',
    async execute(name, principal) {
      if (!(await authority.isProvisioning(principal))) await admit('read', name, principal)
      return users.shape(name)
    },
  })
  provision(userList, params => users.list(params), { isQuery: true })
  offer({ spec: directoryFind, kind: 'operator', isQuery: true, execute: params => users.find(params) })
  provision(directorySetGroup, params => users.setGroup(params))
  offer({
    spec: mailboxGrantMethod,
    kind: 'change',
    async execute(params, principal) {
      if (!(await authority.isProvisioning(principal))) await admit('write', params, principal)
      return users.grant(params)
    },
  })
}
