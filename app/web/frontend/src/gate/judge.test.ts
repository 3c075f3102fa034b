import { describe, expect, it } from 'vitest'
import type { Claims } from '@/shared/token'
import { Status } from './bundle'
import { freshness, judge, judgeUnreadable, type Known, suggestedFor } from './judge'

const NOON = Date.UTC(2026, 5, 18, 4)
const HOUR = 3_600_000
const claims = { issuedAt: NOON - 8 * HOUR, ttlHours: 72 } as Claims
const bundle = { issuedAt: NOON - HOUR, keysetExpiresAt: NOON + 1000 * HOUR }
const sound: Known = {
  signature: 'valid',
  claims,
  status: Status.valid,
  bundle,
  now: NOON,
  clock: 'right',
  admittedAt: null,
  testedAgainst: false,
}
const old = (hours: number) => ({ ...bundle, issuedAt: NOON - hours * HOUR })

describe('verdicts', () => {
  it.each<[string, Partial<Known>, string, string]>([
    ['all in order', {}, 'green', 'valid'],
    ['a list of exactly a day', { bundle: old(24) }, 'green', 'valid'],
    ['a list of 25 hours', { bundle: old(25) }, 'amber', 'list-old'],
    ['a list of three days', { bundle: old(72) }, 'amber', 'list-old'],
    ['a list of 73 hours', { bundle: old(73) }, 'grey', 'list-too-old'],
    ['no list', { bundle: null, status: null }, 'grey', 'no-list'],
    ['keys of a month ago', { bundle: { ...bundle, keysetExpiresAt: NOON } }, 'grey', 'list-too-old'],
    ['issued after the list', { status: null }, 'amber', 'after-list'],
    ['a clock behind the server', { clock: 'behind' }, 'amber', 'clock-behind'],
    ['a clock that was set', { clock: 'jumped' }, 'grey', 'clock-jumped'],
    ['voided', { status: Status.revoked }, 'red', 'revoked'],
    ['voided, by an old list', { status: Status.revoked, bundle: old(80) }, 'red', 'revoked'],
    ['on hold', { status: Status.held }, 'red', 'held'],
    ['tested here and found wanting', { testedAgainst: true }, 'red', 'test-against'],
    ['used up', { status: Status.consumed }, 'red', 'consumed'],
    ['let in here before', { admittedAt: NOON - HOUR }, 'red', 'came-before'],
    ['expired', { now: NOON + 64 * HOUR, bundle: { ...bundle, issuedAt: NOON + 63 * HOUR } }, 'red', 'expired'],
    ['forged', { signature: 'bad-signature' }, 'red', 'forged'],
    ['forged, without a list', { signature: 'bad-signature', bundle: null }, 'red', 'forged'],
    ['an unknown key', { signature: 'unknown-key' }, 'grey', 'needs-online'],
    ['a dropped key', { signature: 'key-dropped' }, 'grey', 'needs-online'],
    ['a key of other times', { signature: 'key-expired' }, 'red', 'key-not-in-force'],
    ['a key of other times by a clock that was set', { signature: 'key-expired', clock: 'jumped' }, 'grey', 'clock-jumped'],
    ['expired by a clock that was set', { now: NOON + 64 * HOUR, clock: 'jumped' }, 'grey', 'clock-jumped'],
    ['a test code', { signature: 'test' }, 'red', 'test'],
  ])('%s', (_, change, colour, code) => {
    const judgement = judge({ ...sound, ...change })
    expect([judgement.colour, judgement.headline.code]).toEqual([colour, code])
  })

  it('says nothing green beside red, and keeps held goods here', () => {
    const held = judge({ ...sound, status: Status.held })
    expect(held.findings.map((one) => one.colour)).toEqual(['red'])
    expect(suggestedFor(held)).toBe('HOLD')
    expect(suggestedFor(judge({ ...sound, testedAgainst: true }))).toBe('HOLD')
    expect(suggestedFor(judge({ ...sound, status: Status.revoked }))).toBe('REFUSE')
    expect(suggestedFor(judge(sound))).toBe('ADMIT')
  })

  it('says nothing green of what it cannot read', () => {
    expect(judgeUnreadable('foreign-address').headline).toEqual({ code: 'foreign', colour: 'grey' })
    expect(judgeUnreadable('unknown-version').colour).toBe('grey')
    expect(judgeUnreadable('leading-zero').colour).toBe('red')
    expect(judgeUnreadable('short-code').colour).toBe('grey')
    expect(freshness(null, NOON, 'right')).toBe('none')
  })
})
