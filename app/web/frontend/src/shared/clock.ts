/** What time it is for the server: phones' clocks are wrong, and a sale's time is a statement. */
import { ref } from 'vue'

/** More than this and the person is told (the server takes no time this far ahead). */
const OFF_MS_MAX = 5 * 60_000

const aheadMs = ref(0)

/** Learn from an answer how far ahead of the server this device's clock is. */
export function noteClock(response: Response): void {
  const said = Date.parse(response.headers.get('date') ?? '')
  // Its second may be nearly over, and the way here took a while: small differences mean nothing.
  if (!Number.isNaN(said)) aheadMs.value = Math.abs(Date.now() - said) < 5_000 ? 0 : Date.now() - said
}

/** The present instant by the server's clock, as the wire writes it. */
export function serverNow(): string {
  return new Date(Date.now() - aheadMs.value).toISOString()
}

/** Whether this device's clock is so wrong that its owner should know. */
export function clockIsOff(): boolean {
  return Math.abs(aheadMs.value) > OFF_MS_MAX
}
