/** Texts of this program, and quantities and instants in the chosen language. */
import { useI18n } from 'vue-i18n'
import { keepLanguage } from '@/shared/language'
import { type Language, sayInstant } from '@/shared/time'
import { bothUnits } from '@/shared/units'

export function useWords() {
  const { t, locale } = useI18n()
  const language = (): Language => locale.value as Language
  return {
    t,
    mass: (massG: number) => bothUnits(massG, language()),
    when: (instant: string) => sayInstant(instant, language()),
    say: (text: { zh: string; en: string }) => text[language()],
    switchLanguage: () => {
      locale.value = language() === 'zh' ? 'en' : 'zh'
      keepLanguage(language())
    },
  }
}
