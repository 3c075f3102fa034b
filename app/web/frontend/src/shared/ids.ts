/** Makes UUIDv7 ids (RFC 9562): this device chooses ids, so that every write can be sent again. */
export function newId(now: number = Date.now()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  for (let at = 0, rest = now; at < 6; at++) {
    bytes[5 - at] = rest % 256
    rest = Math.floor(rest / 256)
  }
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return [0, 8, 12, 16, 20].map((at, no, all) => hex.slice(at, all[no + 1])).join('-')
}
