/** What became of a recall's goods, grams by grams, over its time. */
import type { components } from '@/shared/openapi.gen'

type Schemas = components['schemas']
export type Step = Pick<Schemas['app__recall__schemas__StepOut'], 'kind' | 'mass_g' | 'recorded_at'>
export type Disposal = Pick<Schemas['DisposalOut'], 'recorded_at'> & { lots: { mass_g: number }[] }
export const MEASURES = ['located', 'recovered', 'disposed', 'consumed'] as const
export type Measure = (typeof MEASURES)[number]

export interface Change {
  at: number
  measure: Measure
  /** Grams that came with this record. */
  massG: number
  /** Grams of this measure so far. */
  sumG: number
}

/** Answer all that was recorded, oldest first, with the sum of its measure at that instant. */
export function changesOf(steps: readonly Step[], disposals: readonly Disposal[]): Change[] {
  const sums: Record<Measure, number> = { located: 0, recovered: 0, disposed: 0, consumed: 0 }
  return [
    ...steps.map((step) => ({ at: Date.parse(step.recorded_at), measure: step.kind as Measure, massG: step.mass_g })),
    ...disposals.map((one) => ({
      at: Date.parse(one.recorded_at),
      measure: 'disposed' as const,
      massG: one.lots.reduce((sum, lot) => sum + lot.mass_g, 0),
    })),
  ]
    .sort((one, other) => one.at - other.at)
    .map((change) => ({ ...change, sumG: (sums[change.measure] += change.massG) }))
}

/**
 * Draw a measure as steps in a picture of 100 by 100: grams stay what they were until the next
 * record, so a sloping line would show what nobody knew.
 */
export function pathOf(changes: readonly Change[], measure: Measure, from: number, to: number, topG: number): string {
  const x = (at: number) => round((100 * (at - from)) / Math.max(to - from, 1))
  const y = (sumG: number) => round(100 - (100 * sumG) / Math.max(topG, 1))
  const own = changes.filter((change) => change.measure === measure)
  return [`M0 ${y(0)}`, ...own.map((change) => `H${x(change.at)}V${y(change.sumG)}`), 'H100'].join('')
}

const round = (value: number): number => Math.round(100 * value) / 100
