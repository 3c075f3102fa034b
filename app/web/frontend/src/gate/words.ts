/** The gate's texts, and what a refusal says in the language of now. */
import { language } from '@/shared/language'
import { figuresOf } from '@/shared/refusal'
import type { Problem } from './device'

export { language, t, useLanguage } from '@/shared/language'

/** Say a refusal in the language of now: what is wrong, how much of what, and what to do next. */
export function sayProblem(problem: Problem): { title: string; more: string[] } {
  const { title, next_step: next } = problem[language.value]
  return { title, more: [...figuresOf(problem, language.value), next] }
}
