import { describe, expect, it } from 'vitest'
import shared from '../../../../../schemas/quick-test-vectors.json'
import { type Fact, type Method, readOff, type Reading, standingOf } from './quicktest'

// The very file that the server's own tests read.
describe('quick tests', () => {
  it.each(shared.readings)('$method $reading', ({ method, reading, outcome }) => {
    const methods = shared.methods as Record<string, unknown>
    expect(readOff(methods[method] as Method, reading as Reading)).toBe(outcome)
  })

  it.each(shared.cases)('$tests', ({ tests, status, repeats_left }) => {
    const facts = tests.map(([series, outcome]) => ({ series, outcome }) as Fact)
    expect(standingOf(facts, () => 2)).toEqual({ status, left: repeats_left })
  })

  it('says nothing of a reading that is not complete', () => {
    const strip = shared.methods.strip as Method
    expect(readOff(shared.methods.inhibition as Method, {})).toBe(null)
    expect(readOff(strip, { substance: '克百威' })).toBe(null)
    expect(readOff(strip, { control_line: true, test_line: 'none' })).toBe(null)
    expect(readOff(strip, { substance: '克百威', control_line: true })).toBe(null)
    expect(readOff(shared.methods.colour as Method, { substance: '甲醛' })).toBe(null)
  })
})
