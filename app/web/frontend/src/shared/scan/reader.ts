/** One worker per program that reads codes; its 330 K of wasm come once, when the first code is wanted. */
import { pixelsOf } from './pixels'
import type { Answered, Asked } from './scanner.worker'

const PHOTO_SIDE_MAX = 2400

export class CodeReader {
  private readonly worker = new Worker(new URL('./scanner.worker.ts', import.meta.url), { type: 'module' })
  private readonly waiting = new Map<number, (text: string | null) => void>()
  private last = 0

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<Answered>) => {
      this.waiting.get(data.no)?.(data.text)
      this.waiting.delete(data.no)
    }
  }

  /** Answer what the code in a frame says, or null. */
  read(image: ImageData, thorough = false): Promise<string | null> {
    return new Promise((resolve) => {
      const asked: Asked = { no: ++this.last, image, thorough }
      this.waiting.set(asked.no, resolve)
      this.worker.postMessage(asked, [image.data.buffer])
    })
  }

  /** Answer what the code in a photo says, or null; a file that is no picture says nothing. */
  async readPhoto(file: Blob): Promise<string | null> {
    const bitmap = await createImageBitmap(file).catch(() => null)
    if (!bitmap) return null
    const image = pixelsOf(bitmap, bitmap.width, bitmap.height, PHOTO_SIDE_MAX)
    bitmap.close()
    return this.read(image, true)
  }
}

let reader: CodeReader | undefined

/** The reader of this program, made when it is first asked for and kept from then on. */
export function codeReader(): CodeReader {
  return (reader ??= new CodeReader())
}
