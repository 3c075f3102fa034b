/**
 * Something that is written once, under an id that this device chose.
 *
 * An answer can be lost on its way here. Whoever then changes the words and sends again is refused
 * (`id-reused`), for what was sent first has arrived. Which one that was, the server tells by taking
 * it once more: nothing can come of that but the answer that was lost.
 */
import { ref, shallowRef, type Ref } from 'vue'
import { Refusal } from './api'
import { useTask } from './task'

/** What arrived although nobody heard of it. */
export interface First<B, A> {
  body: B
  answer: A
}

/**
 * Watch over one form.
 *
 * `sent` are the words that were sent without an answer, kept with the draft where the form keeps one;
 * `refusedAs` tells codes by which the server refuses other words after the first.
 */
export function useOnce<B extends object, A>(
  put: (body: B) => Promise<A>,
  sent: Ref<B[]> = ref([]) as Ref<B[]>,
  refusedAs: readonly string[] = ['id-reused'],
) {
  const task = useTask()
  const first = shallowRef<First<B, A> | null>(null)

  async function taken(bodies: readonly B[], refusal: unknown): Promise<A | null> {
    if (!(refusal instanceof Refusal && refusedAs.includes(refusal.problem.code))) throw refusal
    for (const body of bodies) {
      try {
        const answer = await put(body)
        first.value = { body, answer }
        return null
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
      }
    }
    throw refusal
  }

  /** Send it; `done` hears of the answer, unless other words arrived before: then `first` has them. */
  const send = (body: B, done: (answer: A) => unknown) =>
    task.run(async () => {
      first.value = null
      const others = sent.value.filter((one) => JSON.stringify(one) !== JSON.stringify(body))
      sent.value = [...others, body]
      const answer = await put(body).catch((refusal: unknown) => {
        // A refusal is an answer: these words are nowhere.
        if (refusal instanceof Refusal) sent.value = others
        return taken(others, refusal)
      })
      if (first.value) return
      sent.value = []
      await done(answer as A)
    })

  /** Forget what was sent: the form begins anew, under another id. */
  function forget(): void {
    sent.value = []
    first.value = null
  }

  return { ...task, first, send, forget }
}
