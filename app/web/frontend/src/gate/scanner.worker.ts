/** Reads QR codes from pictures, off the screen's thread. The wasm is our own server's. */
import { prepareZXingModule, readBarcodes } from 'zxing-wasm/reader'
import wasm from 'zxing-wasm/reader/zxing_reader.wasm?url'

prepareZXingModule({ overrides: { locateFile: () => wasm }, fireImmediately: false })

export interface Picture {
  id: number
  image: ImageData
  /** A photo gets more effort than a frame of which another follows. */
  thorough: boolean
}

self.onmessage = async ({ data }: MessageEvent<Picture>): Promise<void> => {
  const found = await readBarcodes(data.image, {
    formats: ['QRCode', 'DataMatrix', 'Code128'],
    maxNumberOfSymbols: 1,
    tryHarder: true,
    tryInvert: data.thorough,
    tryDownscale: data.thorough,
  })
  self.postMessage({ id: data.id, text: found[0]?.text ?? null })
}
