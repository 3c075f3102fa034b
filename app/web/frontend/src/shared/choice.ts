/** The language somebody chose: it stays on the device, and every open window follows it. */
import type { Language } from './time'

const KEPT = 'language'

const isLanguage = (value: string | null): value is Language => value === 'zh' || value === 'en'

export function chosenLanguage(): Language {
  const kept = localStorage.getItem(KEPT)
  if (isLanguage(kept)) return kept
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en'
}

/** Tell the browser, its voice and its spelling which language is shown. */
export function showLanguage(language: Language): void {
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'
}

export function keepLanguage(language: Language): void {
  localStorage.setItem(KEPT, language)
  showLanguage(language)
}

/** Hear of the choice that another window of this device made. */
export function followLanguage(take: (language: Language) => void): void {
  window.addEventListener('storage', ({ key, newValue }) => {
    if (key !== KEPT || !isLanguage(newValue)) return
    take(newValue)
    showLanguage(newValue)
  })
}
