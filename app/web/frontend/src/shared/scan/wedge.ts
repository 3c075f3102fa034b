/** A hardware scanner types like a keyboard, and ends with Enter. */
const PAUSE_MS = 1_500
const LENGTH_MIN = 6

/**
 * Listen for a scanner that types: characters that come without anybody's cursor in a field, and an
 * Enter. What a person types into a field is left alone. Answers the undo.
 */
export function listenForWedge(heard: (text: string) => void): () => void {
  let typed = ''
  let lastAt = 0
  const onKey = (event: KeyboardEvent): void => {
    const into = event.target as HTMLElement | null
    if (into?.matches?.('input, textarea, select') || event.ctrlKey || event.altKey || event.metaKey) return
    if (event.timeStamp - lastAt > PAUSE_MS) typed = ''
    lastAt = event.timeStamp
    if (event.key === 'Enter') {
      if (typed.length >= LENGTH_MIN) {
        event.preventDefault()
        event.stopPropagation()
        heard(typed)
      }
      typed = ''
    } else if (event.key.length === 1) {
      // A space would press the button that has the focus.
      if (typed) event.preventDefault()
      typed += event.key
    }
  }
  document.addEventListener('keydown', onKey, true)
  return () => document.removeEventListener('keydown', onKey, true)
}
