/** Numbers, instants and names as these screens say them, in the language that is chosen. */
import { isSaid, language, t } from '@/shared/language'
import { bothUnits } from '@/shared/units'
import { chineseSource } from './sources'

const ZONE = 'Asia/Shanghai'

export function useWords() {
  /** Grams in both units; what is another's business is a dash with words. */
  function grams(massG: number | null | undefined): string {
    return massG == null ? t('unknown') : bothUnits(massG, language.value)
  }

  /** An instant with its year: cases are read long after. */
  function instant(at: string | null | undefined): string {
    if (!at) return t('none')
    return new Intl.DateTimeFormat(language.value === 'zh' ? 'zh-CN' : 'en-GB', {
      timeZone: ZONE,
      year: 'numeric',
      month: language.value === 'zh' ? 'numeric' : 'short',
      day: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    }).format(new Date(at))
  }

  function percent(part: number | null | undefined): string {
    return part == null ? t('unknown') : `${(100 * part).toFixed(part > 0 && part < 0.1 ? 2 : 1)} %`
  }

  /** A closed word of the API in people's words; one that came after this program as it is. */
  function say(kind: string, value: string | null | undefined): string {
    if (value == null) return t('none')
    const key = `${kind}.${value}`
    return isSaid(key) ? t(key) : value
  }

  const source = (text: string): string => (language.value === 'zh' ? chineseSource(text) || t('ownRule') : text)

  function roles(kinds: readonly string[] | null | undefined): string {
    return kinds?.length ? kinds.map((kind) => say('role', kind)).join(language.value === 'zh' ? '、' : ', ') : ''
  }

  /** How long something has lasted or will last, to the minute; seconds while it is short. */
  function duration(milliseconds: number): string {
    const seconds = Math.floor(Math.abs(milliseconds) / 1000)
    const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
    const two = (value: number) => String(value).padStart(2, '0')
    return `${two(hours)}:${two(minutes)}:${two(rest)}`
  }

  return { t, language, grams, instant, percent, say, source, roles, duration }
}
