/** Something that a button starts: one at a time, and what goes wrong is kept, to be said in words. */
import { ref, shallowRef } from 'vue'
import { asFailure, type Failure } from './api'

export function useTask() {
  const busy = ref(false)
  const failure = shallowRef<Failure | null>(null)

  async function run(work: () => Promise<void>): Promise<void> {
    if (busy.value) return
    busy.value = true
    failure.value = null
    try {
      await work()
    } catch (error) {
      failure.value = asFailure(error)
    } finally {
      busy.value = false
    }
  }

  return { busy, failure, run }
}
