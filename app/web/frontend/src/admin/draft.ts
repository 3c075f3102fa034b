/** What is being typed, kept on this device until it has been sent, under the id it is sent with. */
import { reactive, watch } from 'vue'
import { newId } from '@/shared/ids'

export type Draft<T extends object> = T & { id: string }

/** Answer the draft of a form, as it was left; `clear` begins a new one. */
export function useDraft<T extends object>(form: string, empty: () => T): { draft: Draft<T>; clear: () => void } {
  const key = `admin.${form}`
  const fresh = (): Draft<T> => ({ ...empty(), id: newId() })
  const draft = reactive({ ...fresh(), ...kept<T>(key) }) as unknown as Draft<T>
  watch(draft, () => localStorage.setItem(key, JSON.stringify(draft)), { flush: 'sync' })

  function clear(): void {
    Object.assign(draft, fresh())
    localStorage.removeItem(key)
  }

  return { draft, clear }
}

function kept<T>(key: string): Partial<T> {
  try {
    return JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<T>
  } catch {
    return {}
  }
}
