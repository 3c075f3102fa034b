/** Something that a button starts: one at a time, and what goes wrong is said in words. */
import { ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { explain, Refusal } from './api'
import type { Language } from './time'

export interface Failure {
  title: string
  next: string
  /** The refusal's stable code, where the server refused. */
  code: string | null
  facts: Record<string, unknown>
}

export function useTask() {
  const { locale } = useI18n()
  const busy = ref(false)
  const failure = ref<Failure | null>(null)

  async function run(work: () => Promise<void>): Promise<void> {
    if (busy.value) return
    busy.value = true
    failure.value = null
    try {
      await work()
    } catch (error) {
      const refused = error instanceof Refusal ? error.problem : null
      failure.value = {
        ...explain(error, locale.value as Language),
        code: refused?.code ?? null,
        facts: refused?.facts ?? {},
      }
    } finally {
      busy.value = false
    }
  }

  return { busy, failure, run }
}
