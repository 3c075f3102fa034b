/**
 * What is being typed, kept on this device until it has been sent. It is of whoever typed it:
 * somebody else who signs in at the same desk or phone neither sees nor sends it.
 */
import type { Me } from './session'

const prefixOf = (me: Me): string => `draft.${me.account}.`

/** Under which name this device keeps somebody's draft of a form. */
export const draftKey = (me: Me, form: string): string => prefixOf(me) + form

/** The draft as it was left, if there is one. */
export function readDraft<T>(key: string): T | null {
  try {
    return JSON.parse(localStorage.getItem(key) ?? 'null') as T | null
  } catch {
    return null
  }
}

export function keepDraft(key: string, draft: object | null): void {
  if (draft) localStorage.setItem(key, JSON.stringify(draft))
  else localStorage.removeItem(key)
}

/** Leave nothing that somebody typed, names and phones too, where others will work. */
export function forgetDrafts(me: Me): void {
  for (const key of Object.keys(localStorage)) if (key.startsWith(prefixOf(me))) localStorage.removeItem(key)
}
