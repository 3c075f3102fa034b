/** Chinese first, English second; the choice stays on the device. */
import { createI18n } from 'vue-i18n'
import shared_en from './locales/en.json'
import shared_zh from './locales/zh.json'
import type { Language } from './time'

type Messages = Record<string, unknown>

const KEPT = 'language'

export function chosenLanguage(): Language {
  const kept = localStorage.getItem(KEPT)
  if (kept === 'zh' || kept === 'en') return kept
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en'
}

/** Build the texts of one program: its own, and those that all share. */
export function makeI18n(own: Record<Language, Messages>) {
  const locale = chosenLanguage()
  document.documentElement.lang = locale === 'zh' ? 'zh-CN' : 'en'
  return createI18n({
    legacy: false,
    locale,
    fallbackLocale: 'zh',
    messages: {
      zh: { ...shared_zh, ...own.zh },
      en: { ...shared_en, ...own.en },
    },
  })
}

export function keepLanguage(language: Language): void {
  localStorage.setItem(KEPT, language)
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'
}
