import { expect, it } from 'vitest'
import { changesOf, pathOf } from './progress'

const at = (minute: number): string => new Date(minute * 60_000).toISOString()
const STEPS = [
  { kind: 'recovered', mass_g: 400, recorded_at: at(5) },
  { kind: 'located', mass_g: 300, recorded_at: at(2) },
  { kind: 'located', mass_g: 200, recorded_at: at(4) },
] as const
const DISPOSALS = [{ recorded_at: at(8), lots: [{ mass_g: 250 }, { mass_g: 150 }] }]

it('adds up each measure by itself, in the order of time', () => {
  expect(changesOf(STEPS, DISPOSALS).map(({ measure, massG, sumG }) => [measure, massG, sumG])).toEqual([
    ['located', 300, 300],
    ['located', 200, 500],
    ['recovered', 400, 400],
    ['disposed', 400, 400],
  ])
})

it('draws steps: nothing changes between two records', () => {
  const changes = changesOf(STEPS, DISPOSALS)
  expect(pathOf(changes, 'located', 0, 10 * 60_000, 1000)).toBe('M0 100H20V70H40V50H100')
  expect(pathOf(changes, 'consumed', 0, 10 * 60_000, 1000)).toBe('M0 100H100')
})

it('draws a case that has just begun, in which nothing is left', () => {
  expect(pathOf([], 'located', 5, 5, 0)).toBe('M0 100H100')
})
