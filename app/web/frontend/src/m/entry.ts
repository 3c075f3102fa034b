/** How people come in by a code that was handed to them, and where they go then. */
import { type Ref, ref, watch } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { useSession } from '@/shared/session'

/** The code that was scanned, to begin with: it stands behind the #, which no server is told. */
export function useHandedCode(): Ref<string> {
  const route = useRoute()
  const code = ref('')
  // Scanned while the page is open, it is the same page with another #.
  watch(
    () => route.hash,
    (hash) => (code.value = hash.match(/^#code=([0-9A-Z]+)$/)?.[1] ?? code.value),
    { immediate: true },
  )
  return code
}

/** An office goes to its desk, everybody else to the trade. */
export function useEntry(): () => Promise<void> {
  const router = useRouter()
  const session = useSession()
  return async () => {
    const isOffice = session.me!.audiences.some((one) => one === 'market' || one === 'regulator' || one === 'operator')
    if (isOffice) location.assign('/admin')
    else await router.replace('/')
  }
}
