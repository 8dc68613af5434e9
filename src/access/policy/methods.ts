import { z } from 'zod'
import { command, operator, spec } from '../../commands/fields.ts'
import type { NotificationSpec } from '../../federation/command.ts'
import { defaultOperatorPolicy, operatorPolicy } from './rules.ts'
import { policyVersion, signedPolicy } from './served-policy.ts'

/*
 * How clients get the policy of their operator, and how the operator says another one.
 */

const exampleServer = '12D3KooWGatU9DoTwzr4sLDmLcTmFpcr7GfnDQ2PnJh1XWTRYMDY'
const exampleVersion = { stamp: 1_767_225_600_000, origin: exampleServer, manifests: 3 }
const { servers: _servers, partners: _partners, ...exampleConduct } = defaultOperatorPolicy.standard

export const policyGet = spec({
  method: 'policy.get',
  summary: 'The policy of the operator for the class of this client, signed by the server that answers.',
  params: z.strictObject({}),
  result: signedPolicy,
  refusals: [403],
  example: {
    params: {},
    result: {
      text: JSON.stringify({
        operator: 'a.example',
        class: 'standard',
        version: exampleVersion,
        ...exampleConduct,
        servers: [{ server: exampleServer, urls: ['wss://c1.a.example'], weight: 1, order: 1 }],
        partners: [],
      }),
      signer: exampleServer,
      signature: 'A'.repeat(86),
    },
  },
})

const shownPolicy = z.strictObject({ operator, version: policyVersion, policy: operatorPolicy })

export const policyShow = spec({
  method: 'policy.show',
  summary: 'The policy as the operator has said it. For subscribers with the right to provision.',
  params: z.strictObject({}),
  result: shownPolicy,
  refusals: [403],
  example: {
    params: {},
    result: { operator: 'a.example', version: exampleVersion, policy: defaultOperatorPolicy },
  },
})

export const policySet = spec({
  method: 'policy.set',
  summary:
    'Says another policy, for all servers of the operator; clients are told that there is one. For subscribers with the right to provision.',
  params: z.strictObject({
    ...command,
    policy: operatorPolicy,
    /** The stamp of the policy that this one is made from: refused when it is another one by now. */
    expectedStamp: z.int().min(0).optional(),
  }),
  result: shownPolicy,
  refusals: [400, 403, 409],
  example: {
    params: { commandId: 'policy-2026-01-0001', policy: { standard: { hops: 2 } } },
    result: {
      operator: 'a.example',
      version: exampleVersion,
      policy: { ...defaultOperatorPolicy, standard: { ...defaultOperatorPolicy.standard, hops: 2 } },
    },
  },
})

export const policyMethods = [policyGet, policyShow, policySet] as const

export const policyChanged: NotificationSpec<{ withinMs: number }> = {
  method: 'policy.changed',
  summary: 'The operator has another policy: get it within the time said, at a moment of one’s own.',
  params: z.strictObject({ withinMs: z.int().min(0) }),
  example: { withinMs: 30_000 },
}
