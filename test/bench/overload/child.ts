import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { constants, cpus, setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'

/*
 * Programs of their own that a benchmark runs beside the server, so that what they take is not the server's: each takes orders,
 * one after another, and answers each.
 */

export interface Child<Order, Answer> {
  readonly pid: number
  /** @throws when it ends before it has answered */
  ask(order: Order): Promise<Answer>
  end(): void
}

interface Numbered<T> {
  readonly number: number
  readonly body: T
}

const living = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

function endWithThisProcess(child: ChildProcess): void {
  living.add(child)
  child.once('exit', () => living.delete(child))
}

/** @param module file name of the program, beside this one */
export function startChild<Order, Answer>(module: string, execArgv: readonly string[] = []): Child<Order, Answer> {
  const child = fork(fileURLToPath(new URL(module, import.meta.url)), [], { execArgv: [...execArgv] })
  return orders<Order, Answer>(child, module)
}

/** The same of a program that runs already, with a channel. */
export function orders<Order, Answer>(child: ChildProcess, name: string): Child<Order, Answer> {
  const waiting = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>()
  let last = 0
  endWithThisProcess(child)
  child.on('message', ({ number, body }: Numbered<Answer>) => {
    waiting.get(number)?.resolve(body)
    waiting.delete(number)
  })
  child.on('exit', (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`${name} ended with ${code ?? signal}.`))
    waiting.clear()
  })
  return {
    pid: child.pid ?? 0,
    ask: order =>
      new Promise((resolve, reject) => {
        last += 1
        waiting.set(last, { resolve, reject })
        child.send({ number: last, body: order } satisfies Numbered<Order>)
      }),
    end: () => void child.kill('SIGKILL'),
  }
}

/** In the program: answers each order. */
export function obey<Order, Answer>(answer: (order: Order) => Answer | Promise<Answer>): void {
  process.on('message', ({ number, body }: Numbered<Order>) => {
    void Promise.resolve(answer(body)).then(body => process.send?.({ number, body } satisfies Numbered<Answer>))
  })
}

/**
 * In a program that stands for others on machines of their own: it takes nothing of this one that the server and its clients want.
 * Linux lets a process of the idle class go at once when another one wakes; of low priority it would first use up its slice.
 */
export function takeOnlyWhatIsLeft(): void {
  setPriority(constants.priority.PRIORITY_LOW)
  spawnSync('chrt', ['--idle', '--all-tasks', '--pid', '0', String(process.pid)], { stdio: 'ignore' })
}

/**
 * Gives the event loop of a server the first processor to itself, and the others to the rest: the server's other threads, and the
 * programs that stand for other machines. By itself Linux puts two threads of the server on one processor while the other has only
 * such a program to run, and lets one of the idle class have a whole tick of 4 ms now and then. Where there is one processor, or
 * no `taskset`, all share what there is.
 *
 * @param server process, whose main thread runs the loop
 * @param others processes
 */
export function setApart(server: number, others: readonly number[]): void {
  const { length } = cpus()
  if (length < 2) return
  const rest = `1-${length - 1}`
  for (const pid of [server, ...others]) taskset('--all-tasks', '--pid', '--cpu-list', rest, String(pid))
  taskset('--pid', '--cpu-list', '0', String(server))
}

function taskset(...args: readonly string[]): void {
  spawnSync('taskset', args, { stdio: 'ignore' })
}
