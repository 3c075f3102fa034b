/** Short: come in. Long, short, long: stop. */
export function signal(good: boolean): void {
  navigator.vibrate?.(good ? [80] : [350, 100, 80, 100, 350])
  try {
    const sound = new AudioContext()
    const notes = good ? [[880, 0.12]] : [[220, 0.3], [220, 0.12], [220, 0.3]]
    let at = sound.currentTime
    for (const [pitch, length] of notes as [number, number][]) {
      const voice = sound.createOscillator()
      voice.frequency.value = pitch
      voice.connect(sound.destination)
      voice.start(at)
      voice.stop(at + length)
      at += length + 0.08
    }
    setTimeout(() => void sound.close(), 1_500)
  } catch {
    // A device without sound still shows and shakes.
  }
}
