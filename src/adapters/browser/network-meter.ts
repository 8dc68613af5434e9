import type { NetworkMeter } from '../../ports/network-meter.ts'

/**
 * By the Network Information API, where the browser has it (Chromium): metered is a cellular network, and any on which the user
 * wants to save data. Elsewhere (Firefox, Safari, Node) no network is: there the application has to say it.
 */
export function browserNetworkMeter(): NetworkMeter {
  const connection: unknown = 'connection' in navigator ? navigator.connection : undefined
  if (!(connection instanceof EventTarget)) return { isMetered: false, listen: () => () => {} }
  return {
    get isMetered() {
      const savesData = 'saveData' in connection && connection.saveData === true
      return savesData || ('type' in connection && connection.type === 'cellular')
    },
    listen(changed) {
      connection.addEventListener('change', changed)
      return () => connection.removeEventListener('change', changed)
    },
  }
}
