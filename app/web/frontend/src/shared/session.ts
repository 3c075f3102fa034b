/** Who is signed in on this device; the secret is in a cookie that no script can read. */
import { reactive, ref } from 'vue'
import { api, Refusal } from './api'
import type { components } from './openapi.gen'

export type Me = components['schemas']['MeOut']

const me = ref<Me | null>(null)
const asked = ref(false)
/** When a new password ended the sign-in of this device, if that is what ended it. */
const resetAt = ref<string | null>(null)

/** Ask once who this is; nobody is an answer, no network is not. */
async function load(): Promise<void> {
  if (asked.value) return
  try {
    me.value = (await api.GET('/me')).data ?? null
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    me.value = null
    const at = error.problem.facts?.['password_reset_at']
    resetAt.value = typeof at === 'string' ? at : null
  }
  asked.value = true
}

/** The server knows this device no more: ask who this is now, and why. */
async function askAgain(): Promise<void> {
  asked.value = false
  await load()
}

async function signIn(login: string, password: string): Promise<void> {
  me.value = (await api.POST('/sessions', { body: { login, password } })).data ?? null
  asked.value = true
  resetAt.value = null
}

async function signOut(): Promise<void> {
  await api.DELETE('/sessions/current')
  me.value = null
}

const session = reactive({ me, resetAt, load, askAgain, signIn, signOut })

export const useSession = () => session
