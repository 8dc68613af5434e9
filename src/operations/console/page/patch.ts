import { type Element, type Handlers, isDrawn } from './tree.ts'

/*
 * Makes the page show a tree. Only what differs is touched, so that focus, selection and scroll stay where they are.
 */

const drawing = 'http://www.w3.org/2000/svg'
const keys = new WeakMap<Node, string>()
const handlers = new WeakMap<Node, Handlers>()
const shown = new WeakMap<Node, Element>()

/** Makes the children of `parent` those of the tree. */
export function patch(parent: globalThis.Element, children: Element['children']): void {
  let at = parent.firstChild
  for (const child of children) {
    const fitting = at && fits(at, child) ? at : keyed(at, child)
    const node = fitting ?? create(child)
    if (node === at) at = at.nextSibling
    else parent.insertBefore(node, at)
    update(node, child)
  }
  while (at) {
    const next = at.nextSibling
    at.remove()
    at = next
  }
}

const fits = (node: Node, child: Element | string): boolean =>
  typeof child === 'string'
    ? node.nodeType === Node.TEXT_NODE
    : node.nodeName.toLowerCase() === child.tag && keys.get(node) === child.key

/** An element with the key, further on. */
function keyed(from: Node | null, child: Element | string): Node | undefined {
  if (typeof child === 'string' || child.key === undefined) return undefined
  for (let node = from; node; node = node.nextSibling) if (fits(node, child)) return node
  return undefined
}

function create(child: Element | string): Node {
  if (typeof child === 'string') return document.createTextNode(child)
  const node = isDrawn(child.tag) ? document.createElementNS(drawing, child.tag) : document.createElement(child.tag)
  if (child.key !== undefined) keys.set(node, child.key)
  return node
}

function update(node: Node, child: Element | string): void {
  if (typeof child === 'string') {
    if (node.nodeValue !== child) node.nodeValue = child
    return
  }
  if (!(node instanceof HTMLElement || node instanceof SVGElement)) return
  const before = shown.get(node)
  if (before === child) return
  for (const name of Object.keys(before?.attributes ?? {})) {
    if (child.attributes[name] === undefined || child.attributes[name] === false) node.removeAttribute(name)
  }
  for (const [name, value] of Object.entries(child.attributes)) {
    if (value === undefined || value === false || before?.attributes[name] === value) continue
    node.setAttribute(name, value === true ? '' : `${value}`)
  }
  for (const [name, value] of Object.entries(child.style ?? {})) {
    if (before?.style?.[name] !== value) node.style.setProperty(name, value)
  }
  listen(node, child.on ?? {})
  shown.set(node, child)
  patch(node, child.children)
}

/** One listener for each kind of event, which asks for what the latest tree says. */
function listen(node: Node, wanted: Handlers): void {
  const before = handlers.get(node)
  handlers.set(node, wanted)
  for (const name of Object.keys(wanted) as (keyof Handlers)[]) {
    if (before && name in before) continue
    node.addEventListener(name, event => handlers.get(node)?.[name]?.(event))
  }
}
