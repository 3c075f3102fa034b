/**
 * What a quick test comes to, by the bands of the bundle: the rules of app/testing/rules.py, so that
 * a finding holds the goods without a network too. schemas/quick-test-vectors.json holds both to it.
 */
import type { components } from '@/shared/openapi.gen'

export type Method = components['schemas']['MethodOut']
export type Reading = components['schemas']['ReadingIn']
export type Outcome = NonNullable<components['schemas']['QuickTestOut']['outcome']>
export type SampleStatus = components['schemas']['QuickTestOut']['status']

export interface Fact {
  /** What repeats belong to: the method, and the substance of a strip. */
  series: string
  outcome: Outcome
}

/** Statuses in which the goods stay where they are. */
export const AGAINST: readonly SampleStatus[] = ['suspect', 'positive', 'presumptive', 'confirmed_fail']

const GRAVITY: readonly SampleStatus[] = [
  'sampled',
  'invalid',
  'passed',
  'cleared',
  'undetermined',
  'suspect',
  'positive',
  'presumptive',
  'confirmed_fail',
]

/** Read a result off; null while the reading is not complete. */
export function readOff(method: Pick<Method, 'reading' | 'suspect_from' | 'positive_from'>, reading: Reading): Outcome | null {
  if (method.reading === 'inhibition') {
    if (reading.value === undefined || reading.value === null) return null
    const value = Number(reading.value)
    if (value >= Number(method.positive_from)) return 'positive'
    return method.suspect_from !== null && value >= Number(method.suspect_from) ? 'suspect' : 'pass'
  }
  if (!reading.substance) return null
  if (method.reading === 'colour') return typeof reading.detected === 'boolean' ? found(reading.detected) : null
  if (reading.control_line === false) return 'invalid'
  if (!reading.control_line || !reading.test_line) return null
  return found(reading.test_line === 'none' || reading.test_line === 'weaker')
}

function found(it: boolean): Outcome {
  return it ? 'positive' : 'pass'
}

export function seriesOf(method: string, reading: Reading): string {
  return `${method} ${reading.substance ?? ''}`
}

/** Say where goods stand after their quick tests, and how often the finding is to be repeated yet. */
export function standingOf(tests: readonly Fact[], repeats: (series: string) => number): { status: SampleStatus; left: number } {
  let status: SampleStatus = 'sampled'
  let left = 0
  for (const series of new Set(tests.map((one) => one.series))) {
    const read = tests.filter((one) => one.series === series && one.outcome !== 'invalid').map((one) => one.outcome)
    const of = ofSeries(read, repeats(series))
    if (GRAVITY.indexOf(of.status) > GRAVITY.indexOf(status)) status = of.status
    left = Math.max(left, of.left)
  }
  return { status, left }
}

function ofSeries(read: readonly Outcome[], due: number): { status: SampleStatus; left: number } {
  if (!read.length) return { status: 'invalid', left: 0 }
  const first = read.findIndex((one) => one !== 'pass')
  if (first < 0) return { status: 'passed', left: 0 }
  const repeated = read.slice(first + 1, first + 1 + due)
  const bad = repeated.filter((one) => one !== 'pass')
  const left = due - repeated.length
  if (left > 0) return { status: [read[first], ...bad].includes('positive') ? 'positive' : 'suspect', left }
  if (due && !bad.length) return { status: 'cleared', left: 0 }
  return { status: bad.length === due ? 'presumptive' : 'suspect', left: 0 }
}
