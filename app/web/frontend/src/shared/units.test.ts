import { expect, it } from 'vitest'
import { bothUnits, looksLikeUnitMixUp, readNumber } from './units'

it('says both units', () => {
  expect(bothUnits(300_000)).toBe('300\u00a0公斤（600\u00a0斤）')
  expect(bothUnits(1_250, 'en')).toBe('1.25\u00a0kg (2.5\u00a0jin)')
})

it.each([
  [200_000, 100_000, true],
  [50_000, 100_000, true],
  [209_000, 100_000, true],
  [150_000, 100_000, false],
  [100_000, 100_000, false],
  [100_000, null, false],
])('sees %d g against the usual %s as a mix-up of units: %s', (mass, usual, suspicious) => {
  expect(looksLikeUnitMixUp(mass, usual)).toBe(suspicious)
})

it.each([
  ['１２．５', 12.5],
  ['1,200', 1200],
  ['12。5', 12.5],
  ['', null],
  ['-3', null],
  ['1e5', null],
])('reads %s as %s', (text, number) => {
  expect(readNumber(text)).toBe(number)
})
