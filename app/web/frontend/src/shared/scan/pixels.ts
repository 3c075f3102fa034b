let canvas: HTMLCanvasElement | undefined

/** Draw a picture no larger than that, and answer its pixels. */
export function pixelsOf(source: CanvasImageSource, width: number, height: number, most: number): ImageData {
  const shrink = Math.min(1, most / Math.max(width, height))
  canvas ??= document.createElement('canvas')
  canvas.width = Math.round(width * shrink)
  canvas.height = Math.round(height * shrink)
  const pen = canvas.getContext('2d', { willReadFrequently: true })!
  pen.drawImage(source, 0, 0, canvas.width, canvas.height)
  return pen.getImageData(0, 0, canvas.width, canvas.height)
}
