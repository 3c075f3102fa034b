/** Chinese first, English second: the texts of a program, in the language that is chosen. */
import { createI18n } from 'vue-i18n'
import { chosenLanguage, followLanguage, showLanguage } from './choice'
import shared_en from './locales/en.json'
import shared_zh from './locales/zh.json'
import type { Language } from './time'

type Messages = Record<string, unknown>

/** Build the texts of one program: its own, and those that all share. */
export function makeI18n(own: Record<Language, Messages>) {
  const locale = chosenLanguage()
  showLanguage(locale)
  const i18n = createI18n({
    legacy: false,
    locale,
    fallbackLocale: 'zh',
    messages: {
      zh: { ...shared_zh, ...own.zh },
      en: { ...shared_en, ...own.en },
    },
  })
  followLanguage((language) => (i18n.global.locale.value = language))
  return i18n
}
