/**
 * The gate's texts. A dozen lines instead of a library: this program must open fast from its cache,
 * and none of its sentences needs plural forms.
 */
import { ref } from 'vue'
import { scan as scan_en } from '@/shared/locales/en.json'
import { scan as scan_zh } from '@/shared/locales/zh.json'
import type { Language } from '@/shared/time'
import en from './locales/en.json'
import zh from './locales/zh.json'

const KEPT = 'language'
const MESSAGES: Readonly<Record<Language, unknown>> = { zh: { scan: scan_zh, ...zh }, en: { scan: scan_en, ...en } }

function chosen(): Language {
  const kept = localStorage.getItem(KEPT)
  if (kept === 'zh' || kept === 'en') return kept
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en'
}

export const language = ref<Language>(chosen())
document.documentElement.lang = language.value === 'zh' ? 'zh-CN' : 'en'

export function useLanguage(next: Language): void {
  language.value = next
  localStorage.setItem(KEPT, next)
  document.documentElement.lang = next === 'zh' ? 'zh-CN' : 'en'
}

/** Say a text of the locales; `{name}` is replaced by a parameter. */
export function t(key: string, parameters: Readonly<Record<string, string | number>> = {}): string {
  const found = key
    .split('.')
    .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], MESSAGES[language.value])
  if (typeof found !== 'string') return key
  return found.replace(/\{(\w+)\}/g, (_, name: string) => String(parameters[name] ?? ''))
}
