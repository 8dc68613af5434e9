import type { NetworkMeter } from '../../ports/network-meter.ts'
import { defaultDevicePolicy, inForce, type Preferences } from '../../storage/devices/preferences.ts'
import type { Content } from '../../storage/fields.ts'
import type { Tell } from './events.ts'
import { isRicher } from './objects.ts'

/*
 * How much of each object is taken now: what the application wants, or, where data costs money, what the user prefers there.
 * Whether it costs money the application says, or else the platform.
 */

export interface Metering {
  readonly isMetered: boolean
  /** `undefined`: the platform knows. */
  set(isMetered: boolean | undefined): void
  content(): Content
  /** Whether a media of this size is to be fetched without being asked for. */
  wantsMedia(sizeBytes: number): boolean
  /** The preferences may have changed: tells what follows from that. */
  review(): void
  stop(): void
}

export type MeteredPreferences = Pick<Preferences, 'onMetered' | 'maxMediaBytes'>

/** In force for a device that says nothing, until a server has said what is. */
const usual: MeteredPreferences = inForce({}, defaultDevicePolicy)

export function createMetering(options: {
  readonly meter: NetworkMeter | undefined
  readonly isMetered: boolean | undefined
  readonly wanted: () => Content
  readonly preferences: () => MeteredPreferences | undefined
  readonly tell: Tell
  /** Called when more is taken than before. */
  readonly takesMore: () => void
}): Metering {
  const { meter, wanted, tell } = options
  let { isMetered: said } = options
  let told: { readonly isMetered: boolean; readonly content: Content } = { isMetered: false, content: wanted() }

  const isMetered = () => said ?? meter?.isMetered ?? false
  const preferences = () => options.preferences() ?? usual
  const isSparing = () => isMetered() && preferences().onMetered === 'list'

  function content(): Content {
    const most = wanted()
    return isSparing() && isRicher(most, 'list') ? 'list' : most
  }

  function review(): void {
    const before = told
    told = { isMetered: isMetered(), content: content() }
    if (told.isMetered === before.isMetered && told.content === before.content) return
    tell({ kind: 'metering', ...told })
    if (isRicher(told.content, before.content)) options.takesMore()
  }

  const stop = meter?.listen(review) ?? (() => {})
  review()
  return {
    get isMetered() {
      return isMetered()
    },
    set(isMetered) {
      said = isMetered
      review()
    },
    content,
    wantsMedia: sizeBytes => !isSparing() && sizeBytes <= preferences().maxMediaBytes,
    review,
    stop,
  }
}
