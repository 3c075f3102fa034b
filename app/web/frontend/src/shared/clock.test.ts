import { describe, expect, it } from 'vitest'
import { Clock } from './clock'

const NOON = Date.UTC(2026, 5, 18, 4)

describe('the clock', () => {
  it('follows the server, and tells what is wrong', () => {
    let device = NOON - 10 * 60_000
    let running = 0
    const clock = new Clock({ offset: 0, highest: 0 }, () => device, () => running)
    expect(clock.minutesOff()).toBe(null)
    const kept = clock.learn(NOON)
    expect([clock.now(), clock.state(), clock.minutesOff()]).toEqual([NOON, 'right', -10])
    device += 6 * 60_000
    running += 6 * 60_000
    expect(clock.state()).toBe('right')
    device += 6 * 60_000
    expect(clock.state()).toBe('jumped')
    device = NOON - 30 * 60_000
    const restarted = new Clock(kept, () => device, () => 0)
    expect([restarted.state(), restarted.now()]).toEqual(['behind', NOON])
    restarted.learn(NOON + 60_000)
    expect(restarted.state()).toBe('right')
  })

  it('takes no small difference for a wrong clock where time is told in seconds', () => {
    const clock = new Clock(undefined, () => NOON + 900, () => 0)
    clock.learn(NOON, 5_000)
    expect(clock.now()).toBe(NOON + 900)
    clock.learn(NOON - 10 * 60_000, 5_000)
    expect(clock.minutesOff()).toBe(10)
  })
})
