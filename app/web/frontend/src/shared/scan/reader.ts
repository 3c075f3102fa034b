/** One worker per page that reads codes; its 330 K of wasm come only when a scan screen opens. */
import type { Answered, Asked } from './scanner.worker'

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

  /** Answer what the code in a picture says, or null. */
  read(image: ImageData | Blob): Promise<string | null> {
    return new Promise((resolve) => {
      const asked: Asked = { no: ++this.last, image }
      this.waiting.set(asked.no, resolve)
      this.worker.postMessage(asked)
    })
  }

  close(): void {
    this.worker.terminate()
    for (const resolve of this.waiting.values()) resolve(null)
    this.waiting.clear()
  }
}
