/** What a refusal tells beside its sentences: how much, and which fields of the form it is about. */
import { field as field_en, figure as figure_en } from './locales/en.json'
import { field as field_zh, figure as figure_zh } from './locales/zh.json'
import type { Language } from './time'
import { bothUnits } from './units'

export interface Told {
  facts?: Record<string, unknown>
  errors?: readonly { pointer: string }[]
}

const FIGURES: Readonly<Record<Language, Readonly<Record<string, string>>>> = { zh: figure_zh, en: figure_en }
const FIELDS: Readonly<Record<Language, Readonly<Record<string, string>>>> = { zh: field_zh, en: field_en }
const INDEX = /^\d*$/

/** The members of the request that are to blame, as their inputs are named; of a list, its row's. */
export function membersOf({ errors = [] }: Told): string[] {
  const named = errors.flatMap(({ pointer }) => pointer.split('/').filter((part) => !INDEX.test(part)).slice(-1))
  return [...new Set(named)]
}

/** The numbers that help whoever is to decide what to do next, grams in both units. */
export function figuresOf({ facts = {} }: Told, language: Language): string[] {
  const colon = language === 'zh' ? '：' : ': '
  return Object.entries(FIGURES[language]).flatMap(([name, words]) => {
    const value = facts[name]
    if (typeof value !== 'number') return []
    return words + colon + (name.endsWith('_g') ? bothUnits(Math.abs(value), language) : value)
  })
}

/** The fields to look at, as the forms call them. */
export function fieldsOf(told: Told, language: Language): string {
  const named = membersOf(told).flatMap((member) => FIELDS[language][member] ?? [])
  return named.join(language === 'zh' ? '、' : ', ')
}

/** Mark the inputs that a note is about, in the form where it stands; answers what takes it back. */
export function markFields(note: Element, told: Told): () => void {
  const form = note.closest('form, dialog, main')
  const inputs = membersOf(told).flatMap((member) => [...(form?.querySelectorAll(`[name='${CSS.escape(member)}']`) ?? [])])
  for (const input of inputs) input.setAttribute('aria-invalid', 'true')
  return () => {
    for (const input of inputs) input.removeAttribute('aria-invalid')
  }
}
