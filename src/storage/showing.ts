import type { Content } from './fields.ts'
import type { ShownObject, StoredObject } from './objects.ts'

/** As much of an object as was asked for. */
export function shown(object: StoredObject, content: Content): ShownObject {
  switch (content) {
    case 'full':
      return object
    case 'list': {
      const { text: _text, media = [], session: _session, groupState: _groupState, ...listed } = object
      return { ...listed, mediaCount: media.length }
    }
    case 'links': {
      const { container, part, id, date, size, flags } = object
      return { container, part, id, date, size, flags }
    }
  }
}
