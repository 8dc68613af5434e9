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
  offer({
    spec: userRegister,
    kind: 'operator',
    async execute(params, principal) {
      await authority.requireProvisioning(principal)
      return users.register(params, principal)
    },
  })
  offer({
    spec: userChange,
    kind: 'operator',
    async execute(params, principal) {
      await authority.requireProvisioning(principal)
      return users.change(params)
    },
  })
  offer({
    spec: userRemove,
    kind: 'operator',
    async execute({ user }, principal) {
      await authority.requireProvisioning(principal)
      return users.remove(user)
    },
  })
  offer({
    spec: userShow,
    kind: 'read',
    async execute(name, principal) {
      if (!(await authority.isProvisioning(principal))) await admit('read', name, principal)
      return users.shape(name)
    },
  })
  offer({
    spec: userList,
    kind: 'operator',
    async execute(params, principal) {
      await authority.requireProvisioning(principal)
      return users.list(params)
    },
  })
  offer({ spec: directoryFind, kind: 'operator', execute: params => users.find(params) })
  offer({
    spec: directorySetGroup,
    kind: 'operator',
    async execute(params, principal) {
      await authority.requireProvisioning(principal)
      return users.setGroup(params)
    },
  })
  offer({
    spec: mailboxGrantMethod,
    kind: 'change',
    async execute(params, principal) {
      if (!(await authority.isProvisioning(principal))) await admit('write', params, principal)
      return users.grant(params)
    },
  })
}
