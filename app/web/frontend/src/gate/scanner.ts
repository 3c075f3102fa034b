/** The scan ladder's machines: camera, photo, and a scanner that types like a keyboard. */
import ScannerWorker from './scanner.worker?worker'
import type { Picture } from './scanner.worker'

const SIDE_MAX = 1280
const PHOTO_SIDE_MAX = 2400

export class Reader {
  private worker = new ScannerWorker({ name: 'scanner' })
  private asked = new Map<number, (text: string | null) => void>()
  private count = 0

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<{ id: number; text: string | null }>) => {
      this.asked.get(data.id)?.(data.text)
      this.asked.delete(data.id)
    }
  }

  read(image: ImageData, thorough = false): Promise<string | null> {
    const id = ++this.count
    return new Promise((resolve) => {
      this.asked.set(id, resolve)
      const picture: Picture = { id, image, thorough }
      this.worker.postMessage(picture, [image.data.buffer])
    })
  }

  async readPhoto(file: Blob): Promise<string | null> {
    const bitmap = await createImageBitmap(file)
    const shrink = Math.min(1, PHOTO_SIDE_MAX / Math.max(bitmap.width, bitmap.height))
    const pen = penOf(Math.round(bitmap.width * shrink), Math.round(bitmap.height * shrink))
    pen.drawImage(bitmap, 0, 0, pen.canvas.width, pen.canvas.height)
    bitmap.close()
    return this.read(pen.getImageData(0, 0, pen.canvas.width, pen.canvas.height), true)
  }

  close(): void {
    this.worker.terminate()
  }
}

function penOf(width: number, height: number): OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D {
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  return canvas.getContext('2d', { willReadFrequently: true })!
}

/** Watches a camera until it is stopped, and tells each code that it sees. */
export class Camera {
  private stream: MediaStream | null = null
  private going = false
  private pen: ReturnType<typeof penOf> | null = null

  constructor(
    private readonly reader: Reader,
    private readonly seen: (text: string | null) => void,
  ) {}

  /** Throws what the browser throws: no camera, or no permission. */
  async start(video: HTMLVideoElement): Promise<void> {
    this.stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: { ideal: 'environment' }, width: { ideal: 1280 }, height: { ideal: 720 } },
    })
    video.srcObject = this.stream
    await video.play()
    this.going = true
    void this.watch(video)
  }

  private async watch(video: HTMLVideoElement): Promise<void> {
    while (this.going) {
      if (video.videoWidth && !document.hidden) {
        const shrink = Math.min(1, SIDE_MAX / Math.max(video.videoWidth, video.videoHeight))
        const [width, height] = [Math.round(video.videoWidth * shrink), Math.round(video.videoHeight * shrink)]
        if (this.pen?.canvas.width !== width || this.pen.canvas.height !== height) this.pen = penOf(width, height)
        this.pen.drawImage(video, 0, 0, width, height)
        const text = await this.reader.read(this.pen.getImageData(0, 0, width, height))
        if (this.going) this.seen(text)
      }
      await new Promise((resolve) => setTimeout(resolve, 40))
    }
  }

  get hasTorch(): boolean {
    const track = this.stream?.getVideoTracks()[0]
    return Boolean((track?.getCapabilities?.() as { torch?: boolean } | undefined)?.torch)
  }

  async light(on: boolean): Promise<void> {
    const track = this.stream?.getVideoTracks()[0]
    await track?.applyConstraints({ advanced: [{ torch: on } as MediaTrackConstraintSet] })
  }

  stop(): void {
    this.going = false
    this.stream?.getTracks().forEach((track) => track.stop())
    this.stream = null
  }
}

const PAUSE_MS = 1_500
const LEAST = 6

/**
 * Listen for a scanner that types: characters that come without anybody's cursor in a field, and an
 * Enter. What a person types into a field is left alone.
 */
export function listenForWedge(heard: (text: string) => void): () => void {
  let typed = ''
  let last = 0
  const listen = (event: KeyboardEvent): void => {
    const target = event.target as HTMLElement | null
    if (target?.matches?.('input, textarea, select') || event.ctrlKey || event.altKey || event.metaKey) return
    if (event.timeStamp - last > PAUSE_MS) typed = ''
    last = event.timeStamp
    if (event.key === 'Enter') {
      if (typed.length >= LEAST) {
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
  document.addEventListener('keydown', listen, true)
  return () => document.removeEventListener('keydown', listen, true)
}

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

/** Keep the lamp of the screen on while there is something to look at. */
export function stayAwake(): () => void {
  let lock: WakeLockSentinel | null = null
  const take = async (): Promise<void> => {
    if (document.hidden) return
    lock = (await navigator.wakeLock?.request('screen').catch(() => null)) ?? null
  }
  document.addEventListener('visibilitychange', take)
  void take()
  return () => {
    document.removeEventListener('visibilitychange', take)
    void lock?.release()
  }
}
