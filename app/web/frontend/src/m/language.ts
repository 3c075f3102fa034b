/** Texts of this program, and quantities and instants in the chosen language. */
import { isSaid, language, switchLanguage, t } from '@/shared/language'
import { sayInstant } from '@/shared/time'
import { bothUnits } from '@/shared/units'

const words = {
  t,
  language: () => language.value,
  mass: (massG: number) => bothUnits(massG, language.value),
  when: (instant: string) => sayInstant(instant, language.value),
  /** A unit of the trade; a package's own word, such as 箱, stays as it was typed. */
  unitName: (unit: string) => (isSaid(`unit.${unit}`) ? t(`unit.${unit}`) : unit),
  /** What a notice is about; offices deal with theirs in another program. */
  noticeOf: (kind: string) => t(isSaid(`notice.kind.${kind}`) ? `notice.kind.${kind}` : 'notice.kind.other'),
  say: (text: { zh: string; en: string }) => text[language.value],
  switchLanguage,
}

export const useWords = () => words
