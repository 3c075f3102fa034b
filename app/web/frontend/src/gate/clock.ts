/**
 * What time it is, by the server's clock: a guard's phone may be off by hours, or be set back.
 *
 * Kept on the device: how far its clock is off, and the highest time that the server ever told.
 */
export interface KeptClock {
  /** Server time less device time, in milliseconds, when the two were last compared. */
  offset: number
  highest: number
}

export type ClockState = 'right' | 'behind' | 'jumped'

const TOLERANCE_MS = 60_000
const OFF_MS = 5 * 60_000

export class Clock {
  private origin: number

  constructor(
    private kept: KeptClock,
    private readonly device: () => number = () => Date.now(),
    private readonly running: () => number = () => performance.now(),
  ) {
    this.origin = device() - running()
  }

  /** Learn from an answer of the server. */
  learn(serverAt: number): KeptClock {
    this.kept = { offset: serverAt - this.device(), highest: Math.max(this.kept.highest, serverAt) }
    this.origin = this.device() - this.running()
    return this.kept
  }

  /** The best that is known: it cannot be earlier than the server once said. */
  now(): number {
    return Math.max(this.told(), this.kept.highest)
  }

  private told(): number {
    return this.device() + this.kept.offset
  }

  /** Behind: earlier than the server once said. Jumped: somebody set it while this program ran. */
  state(): ClockState {
    if (Math.abs(this.device() - this.running() - this.origin) > OFF_MS) return 'jumped'
    return this.told() < this.kept.highest - TOLERANCE_MS ? 'behind' : 'right'
  }

  /** By how many minutes the device's clock is off, if that is worth saying. */
  minutesOff(): number | null {
    return Math.abs(this.kept.offset) > OFF_MS ? Math.round(-this.kept.offset / 60_000) : null
  }
}
