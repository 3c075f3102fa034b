/**
 * What time it is, by the server's clock: phones' clocks are wrong by hours, or are set back, and a
 * sale's time is a statement.
 */
import { shallowRef } from 'vue'

/** What a device may keep: how far its clock is off, and the highest time that the server ever told. */
export interface KeptClock {
  /** Server time less device time, in milliseconds, when the two were last compared. */
  offset: number
  highest: number
}

export type ClockState = 'right' | 'behind' | 'jumped'

const TOLERANCE_MS = 60_000
/** More than this and the person is told; the server takes no time this far ahead. */
const OFF_MS = 5 * 60_000

export class Clock {
  private origin: number
  private readonly kept

  constructor(
    kept: KeptClock = { offset: 0, highest: 0 },
    private readonly device: () => number = () => Date.now(),
    private readonly running: () => number = () => performance.now(),
  ) {
    this.kept = shallowRef(kept)
    this.origin = device() - running()
  }

  /**
   * Learn from an answer of the server.
   *
   * @param exactMs How exactly it told its time: a smaller difference means nothing.
   */
  learn(serverAt: number, exactMs = 0): KeptClock {
    const offset = serverAt - this.device()
    this.kept.value = {
      offset: Math.abs(offset) < exactMs ? 0 : offset,
      highest: Math.max(this.kept.value.highest, serverAt),
    }
    this.origin = this.device() - this.running()
    return this.kept.value
  }

  /** The best that is known: it cannot be earlier than the server once said. */
  now(): number {
    return Math.max(this.told(), this.kept.value.highest)
  }

  private told(): number {
    return this.device() + this.kept.value.offset
  }

  /** Behind: earlier than the server once said. Jumped: somebody set it while this program ran. */
  state(): ClockState {
    if (Math.abs(this.device() - this.running() - this.origin) > OFF_MS) return 'jumped'
    return this.told() < this.kept.value.highest - TOLERANCE_MS ? 'behind' : 'right'
  }

  /** By how many minutes the device's clock is off, if that is worth saying. */
  minutesOff(): number | null {
    return Math.abs(this.kept.value.offset) > OFF_MS ? Math.round(-this.kept.value.offset / 60_000) : null
  }
}
