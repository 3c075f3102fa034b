/** The camera that looks away from whoever holds the device, frame by frame. */

/** Longest side of a frame that is read; codes are read no better in larger ones, only slower. */
const SIDE_MAX = 1280

export class Camera {
  private readonly canvas = document.createElement('canvas')

  private constructor(
    private readonly video: HTMLVideoElement,
    private readonly stream: MediaStream,
  ) {}

  /** Open the camera into a video element; rejects where there is none, or nobody allows it. */
  static async open(video: HTMLVideoElement): Promise<Camera> {
    if (!navigator.mediaDevices) throw new DOMException('no camera here', 'NotFoundError')
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: 'environment', width: { ideal: 1920 }, height: { ideal: 1080 } },
    })
    video.srcObject = stream
    await video.play()
    return new Camera(video, stream)
  }

  /** Take the frame of now; null before the first one. */
  frame(): ImageData | null {
    const { videoWidth: width, videoHeight: height } = this.video
    if (!width || !height) return null
    const scale = Math.min(1, SIDE_MAX / Math.max(width, height))
    this.canvas.width = Math.round(width * scale)
    this.canvas.height = Math.round(height * scale)
    const context = this.canvas.getContext('2d', { willReadFrequently: true })
    if (!context) return null
    context.drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height)
    return context.getImageData(0, 0, this.canvas.width, this.canvas.height)
  }

  close(): void {
    for (const track of this.stream.getTracks()) track.stop()
    this.video.srcObject = null
  }
}
