const [mebibyte, gibibyte] = [2 ** 20, 2 ** 30]

/** Bytes as a person reads them. */
export function sizeText(bytes: number): string {
  if (bytes < mebibyte) return `${Math.ceil(bytes / 1024)} KiB`
  return bytes < gibibyte ? `${(bytes / mebibyte).toFixed(1)} MiB` : `${(bytes / gibibyte).toFixed(1)} GiB`
}
