import { later } from './registers-view.ts'

/*
 * A map of strings in order of key that never changes: `put` gives another one that shares all but a path of about
 * log2(n) nodes with it. So a snapshot costs nothing, a draft that fails is forgotten by letting go of it, and a prefix
 * is walked in order without sorting. An AVL tree; entries are only ever added or replaced.
 */

interface Node<V> {
  readonly key: string
  readonly value: V
  readonly left: Node<V> | undefined
  readonly right: Node<V> | undefined
  readonly height: number
}

export type OrderedMap<V> = Node<V> | undefined

export function lookup<V>(map: OrderedMap<V>, key: string): V | undefined {
  let node = map
  while (node !== undefined && node.key !== key) node = key < node.key ? node.left : node.right
  return node?.value
}

/** The map with `key` set to `value`. */
export function put<V>(map: OrderedMap<V>, key: string, value: V): Node<V> {
  if (map === undefined) return { key, value, left: undefined, right: undefined, height: 1 }
  if (key === map.key) return { key, value, left: map.left, right: map.right, height: map.height }
  return key < map.key
    ? balanced(map, put(map.left, key, value), map.right)
    : balanced(map, map.left, put(map.right, key, value))
}

/** Entries whose key starts with `prefix` and does not come before `from`, in order of key (UTF-16 code units). */
export function* withPrefix<V>(
  map: OrderedMap<V>,
  prefix: string,
  from = prefix,
): Generator<readonly [key: string, value: V]> {
  const start = later(prefix, from)
  const ahead: Node<V>[] = []
  let node = map
  while (node !== undefined) {
    if (node.key < start) {
      node = node.right
      continue
    }
    ahead.push(node)
    node = node.left
  }
  for (let next = ahead.pop(); next?.key.startsWith(prefix); next = ahead.pop()) {
    yield [next.key, next.value]
    for (let below = next.right; below !== undefined; below = below.left) ahead.push(below)
  }
}

const heightOf = <V>(node: OrderedMap<V>): number => node?.height ?? 0

function join<V>(of: Node<V>, left: OrderedMap<V>, right: OrderedMap<V>): Node<V> {
  const height = Math.max(heightOf(left), heightOf(right)) + 1
  return { key: of.key, value: of.value, left, right, height }
}

/** Joins two trees, of which one may have grown by one level, so that their heights differ by one at the most. */
function balanced<V>(of: Node<V>, left: OrderedMap<V>, right: OrderedMap<V>): Node<V> {
  const lean = heightOf(left) - heightOf(right)
  if (lean > 1 && left) {
    const inner = left.right
    if (inner && inner.height > heightOf(left.left))
      return join(inner, join(left, left.left, inner.left), join(of, inner.right, right))
    return join(left, left.left, join(of, inner, right))
  }
  if (lean < -1 && right) {
    const inner = right.left
    if (inner && inner.height > heightOf(right.right))
      return join(inner, join(of, left, inner.left), join(right, inner.right, right.right))
    return join(right, join(of, left, inner), right.right)
  }
  return join(of, left, right)
}
