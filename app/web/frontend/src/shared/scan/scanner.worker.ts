/** Reads codes out of pictures, off the main thread; the wasm is our own server's, not a CDN's. */
import { prepareZXingModule, readBarcodes } from 'zxing-wasm/reader'
import wasm from 'zxing-wasm/reader/zxing_reader.wasm?url'

export interface Asked {
  no: number
  image: ImageData
  /** A photo gets more effort than a frame of which another follows. */
  thorough: boolean
}

export interface Answered {
  no: number
  /** What the code says; null where there is none in the picture. */
  text: string | null
}

void prepareZXingModule({ overrides: { locateFile: () => wasm }, fireImmediately: true })

self.onmessage = async ({ data }: MessageEvent<Asked>) => {
  // Ours, and those that other platforms print; crooked and blurred ones too.
  const found = await readBarcodes(data.image, {
    formats: ['QRCode', 'DataMatrix', 'Code128'],
    maxNumberOfSymbols: 1,
    tryHarder: true,
    tryInvert: data.thorough,
    tryDownscale: data.thorough,
  }).catch(() => [])
  const answer: Answered = { no: data.no, text: found.find((one) => one.text)?.text ?? null }
  self.postMessage(answer)
}
