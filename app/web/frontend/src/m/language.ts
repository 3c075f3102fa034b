/** Texts of this program, and quantities and instants in the chosen language. */
import { useI18n } from 'vue-i18n'
import { keepLanguage } from '@/shared/choice'
import { type Language, sayInstant } from '@/shared/time'
import { bothUnits } from '@/shared/units'

export function useWords() {
  const { t, te, locale } = useI18n()
  const language = (): Language => locale.value as Language
  return {
    t,
    language,
    mass: (massG: number) => bothUnits(massG, language()),
    when: (instant: string) => sayInstant(instant, language()),
    /** A unit of the trade; a package's own word, such as 箱, stays as it was typed. */
    unitName: (unit: string) => (te(`unit.${unit}`) ? t(`unit.${unit}`) : unit),
    /** What a notice is about; offices deal with theirs in another program. */
    noticeOf: (kind: string) => t(te(`notice.kind.${kind}`) ? `notice.kind.${kind}` : 'notice.kind.other'),
    say: (text: { zh: string; en: string }) => text[language()],
    switchLanguage: () => {
      locale.value = language() === 'zh' ? 'en' : 'zh'
      keepLanguage(language())
    },
  }
}
