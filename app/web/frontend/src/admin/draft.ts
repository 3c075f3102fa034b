/**
 * What is being typed, kept on this device until it has been sent, under the id it is sent with. It
 * is of whoever typed it: somebody else who signs in at the same desk neither sees nor sends it.
 */
import { onScopeDispose, reactive, watch } from 'vue'
import { api } from '@/shared/api'
import { newId } from '@/shared/ids'
import { type Me, useSession } from '@/shared/session'

const CONFLICT = 409
/** What is on the screens now. */
const shown = new Set<Draft<object>>()

// An answer was lost, and other words were typed since: sent once more, these are something new.
api.use({
  async onResponse({ request, response }) {
    if (response.status !== CONFLICT) return
    const { code } = (await response.clone().json()) as { code?: string }
    for (const draft of shown) if (code === 'id-reused' && request.url.includes(draft.id)) draft.id = newId()
  },
})

const prefixOf = (me: Me): string => `admin.${me.account}.`

export type Draft<T extends object> = T & { id: string }

/** Answer the draft of a form, as it was left; `clear` begins a new one. */
export function useDraft<T extends object>(form: string, empty: () => T): { draft: Draft<T>; clear: () => void } {
  const key = prefixOf(useSession().me!) + form
  const fresh = (): Draft<T> => ({ ...empty(), id: newId() })
  const draft = reactive({ ...fresh(), ...kept<T>(key) }) as unknown as Draft<T>
  watch(draft, () => localStorage.setItem(key, JSON.stringify(draft)), { flush: 'sync' })

  function clear(): void {
    Object.assign(draft, fresh())
    localStorage.removeItem(key)
  }

  shown.add(draft)
  onScopeDispose(() => shown.delete(draft))
  return { draft, clear }
}

/** Leave nothing that somebody typed, names and phones too, at a desk that others will use. */
export function forgetDrafts(me: Me): void {
  for (const key of Object.keys(localStorage)) if (key.startsWith(prefixOf(me))) localStorage.removeItem(key)
}

function kept<T>(key: string): Partial<T> {
  try {
    return JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<T>
  } catch {
    return {}
  }
}
