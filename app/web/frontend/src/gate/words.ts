/**
 * The gate's texts. A dozen lines instead of a library: this program must open fast from its cache,
 * and none of its sentences needs plural forms.
 */
import { ref } from 'vue'
import { chosenLanguage, followLanguage, keepLanguage, showLanguage } from '@/shared/choice'
import { scan as scan_en } from '@/shared/locales/en.json'
import { scan as scan_zh } from '@/shared/locales/zh.json'
import { figuresOf } from '@/shared/refusal'
import type { Language } from '@/shared/time'
import type { Problem } from './device'
import en from './locales/en.json'
import zh from './locales/zh.json'

const MESSAGES: Readonly<Record<Language, unknown>> = { zh: { scan: scan_zh, ...zh }, en: { scan: scan_en, ...en } }

export const language = ref<Language>(chosenLanguage())
showLanguage(language.value)
followLanguage((next) => (language.value = next))

export function useLanguage(next: Language): void {
  language.value = next
  keepLanguage(next)
}

/** Say a text of the locales; `{name}` is replaced by a parameter. */
export function t(key: string, parameters: Readonly<Record<string, string | number>> = {}): string {
  const found = key
    .split('.')
    .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], MESSAGES[language.value])
  if (typeof found !== 'string') return key
  return found.replace(/\{(\w+)\}/g, (_, name: string) => String(parameters[name] ?? ''))
}

/** Say a refusal in the language of now: what is wrong, how much of what, and what to do next. */
export function sayProblem(problem: Problem): { title: string; more: string[] } {
  const { title, next_step: next } = problem[language.value]
  return { title, more: [...figuresOf(problem, language.value), next] }
}
