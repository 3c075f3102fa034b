/** What is being typed in a form of a desk, under the id it is sent with. */
import { onScopeDispose, reactive, watch } from 'vue'
import { api } from '@/shared/api'
import { draftKey, keepDraft, readDraft } from '@/shared/draft'
import { newId } from '@/shared/ids'
import { useSession } from '@/shared/session'

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

export type Draft<T extends object> = T & { id: string }

/** Answer the draft of a form, as it was left; `clear` begins a new one. */
export function useDraft<T extends object>(form: string, empty: () => T): { draft: Draft<T>; clear: () => void } {
  const key = draftKey(useSession().me!, form)
  const fresh = (): Draft<T> => ({ ...empty(), id: newId() })
  const draft = reactive({ ...fresh(), ...readDraft<T>(key) }) as unknown as Draft<T>
  watch(draft, () => keepDraft(key, draft), { flush: 'sync' })

  function clear(): void {
    Object.assign(draft, fresh())
    keepDraft(key, null)
  }

  shown.add(draft)
  onScopeDispose(() => shown.delete(draft))
  return { draft, clear }
}
