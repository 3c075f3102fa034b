/** Instants as people in Nantong read them, whatever the device's own time zone says. */

export type Language = 'zh' | 'en'

const ZONE = 'Asia/Shanghai'
const LOCALE: Readonly<Record<Language, string>> = { zh: 'zh-CN', en: 'en-GB' }

/** Say an instant with its day: "6月18日 04:05". */
export function sayInstant(instant: string | number | Date, language: Language = 'zh'): string {
  return new Intl.DateTimeFormat(LOCALE[language], {
    timeZone: ZONE,
    month: language === 'zh' ? 'numeric' : 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(new Date(instant))
}

/** Say the time of day only: "04:05". */
export function sayTime(instant: string | number | Date): string {
  return new Intl.DateTimeFormat('zh-CN', {
    timeZone: ZONE,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(new Date(instant))
}

/** Answer the day in Nantong as the wire writes it: "2026-06-18". */
export function dayOf(instant: string | number | Date): string {
  return new Intl.DateTimeFormat('sv-SE', { timeZone: ZONE }).format(new Date(instant))
}
