import { mutate } from './load.ts'
import { mutations } from './mutations.ts'

/*
 * Breaks the node of any program, and of the processes that it begins: MUTATION=NAME node --import …/preload.ts …
 */

const name = process.env.MUTATION
const mutation = mutations.find(each => each.name === name)
if (!mutation) throw new Error(`MUTATION names no mutation: "${name}".`)
mutate(mutation.edits)
