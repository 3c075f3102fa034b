/**
 * The texts of a program in the language that is chosen: Chinese first, English second. Two dozen
 * lines instead of a library, for none of our sentences needs plural forms, and a phone pays for all
 * of a library that none of us uses.
 */
import { ref } from 'vue'
import { chosenLanguage, followLanguage, keepLanguage, showLanguage } from './choice'
import type { Language } from './time'

type Texts = Readonly<Record<string, unknown>>

export const language = ref<Language>(chosenLanguage())
showLanguage(language.value)
followLanguage((next) => (language.value = next))

let texts: Readonly<Record<Language, Texts>> = { zh: {}, en: {} }

/** Give a program its texts, before it says any. */
export function useTexts(own: Readonly<Record<Language, Texts>>): void {
  texts = own
}

export function useLanguage(next: Language): void {
  language.value = next
  keepLanguage(next)
}

export const switchLanguage = (): void => useLanguage(language.value === 'zh' ? 'en' : 'zh')

/** The text under `a.b.c`, if there is one; a whole group of texts is none. */
function find(key: string): string | undefined {
  const found = key.split('.').reduce<unknown>((at, part) => (at as Texts | undefined)?.[part], texts[language.value])
  return typeof found === 'string' ? found : undefined
}

/** Whether there is such a text; closed words of the API may be newer than this program. */
export const isSaid = (key: string): boolean => find(key) !== undefined

/** Say a text; `{name}` is replaced by a parameter. What has no text is its key. */
export function t(key: string, parameters: Readonly<Record<string, unknown>> = {}): string {
  return find(key)?.replace(/\{(\w+)\}/g, (_, name: string) => String(parameters[name] ?? '')) ?? key
}
