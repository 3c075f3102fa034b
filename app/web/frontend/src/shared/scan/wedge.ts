/**
 * A hardware scanner types like a keyboard, only faster, and ends with Enter.
 *
 * What arrives with less than this between two keys is a scanner's, not a person's.
 */
const GAP_MS_MAX = 60
const LENGTH_MIN = 8

/** Call back with whatever a scanner types while no field is being written in; answers the undo. */
export function listenForWedge(heard: (text: string) => void): () => void {
  let text = ''
  let lastAt = 0
  const onKey = (event: KeyboardEvent): void => {
    const into = event.target
    if (into instanceof HTMLInputElement || into instanceof HTMLTextAreaElement) return
    if (event.timeStamp - lastAt > GAP_MS_MAX) text = ''
    lastAt = event.timeStamp
    if (event.key === 'Enter') {
      if (text.length >= LENGTH_MIN) {
        event.preventDefault()
        heard(text)
      }
      text = ''
    } else if (event.key.length === 1) text += event.key
  }
  document.addEventListener('keydown', onKey)
  return () => document.removeEventListener('keydown', onKey)
}
