/** Samples that failed or may have: what an office looks at first. */
import { api } from '@/shared/api'
import type { components } from '@/shared/openapi.gen'

export type SampleLine = components['schemas']['SampleLine']
export type Status = components['schemas']['Status']

/** The statuses in which goods are held, the gravest first. */
export const FAILING: readonly Status[] = ['confirmed_fail', 'presumptive', 'positive', 'suspect']

/** List them all, the latest first; asked for by status, so that no number of passes hides one. */
export async function failing(): Promise<SampleLine[]> {
  const answers = await Promise.all(
    FAILING.map((status) => api.GET('/samples', { params: { query: { status, limit: 100 } } })),
  )
  return answers
    .flatMap((answer) => answer.data!)
    .sort((one, other) => other.taken_at.localeCompare(one.taken_at))
}

export function toneOf(verdict: SampleLine['verdict']): 'good' | 'care' | 'bad' | 'plain' {
  if (verdict === 'failed') return 'bad'
  if (verdict === 'suspect' || verdict === 'undetermined') return 'care'
  return verdict === 'passed' ? 'good' : 'plain'
}

/** A failed test is as bad as a verdict of that name; one that waits for its repeat needs care. */
export function toneOfStatus(status: Status): 'care' | 'bad' {
  return status === 'suspect' ? 'care' : 'bad'
}
