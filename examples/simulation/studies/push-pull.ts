/*
 * A protocol of one's own for a protocol study: push and pull at once, as Karp, Schindelhauer, Shenker and Vöcking analyse it
 * (Randomized Rumor Spreading, FOCS 2000). In each round every node calls somebody; whoever of the two knows the rumour tells the
 * other. Run it with: cpns simulate validate examples/simulation/studies/push-pull.yaml
 */
import { defineProtocol } from '../../../src/simulation/studies/protocol.ts'

type Call = 'tell me' | 'the rumour'

export default defineProtocol({
  name: 'push-pull',
  // Called once for each node; what the node knows lives in here.
  node(here) {
    let knowsSince = Number.POSITIVE_INFINITY
    const learn = () => {
      if (knowsSince <= here.now) return
      knowsSince = here.now
      here.sample('knowsSince', knowsSince)
      here.finish() // the study ends when all nodes have said this
    }
    return {
      start() {
        if (here.id === 0) learn()
        here.after(1, 'call')
      },
      timer() {
        const knew = knowsSince < here.now
        here.send(here.anyNeighbour(), knew ? 'the rumour' : 'tell me', {
          elements: knew ? 1 : 0,
          kind: knew ? 'push' : 'ask',
        })
        here.after(1, 'call')
      },
      message(from: number, call: Call) {
        if (call === 'the rumour') learn()
        // What it has learned in this round it tells from the next one on.
        else if (knowsSince < here.now) here.send(from, 'the rumour', { elements: 1, kind: 'answer' })
      },
    }
  },
})
