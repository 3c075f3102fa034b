/** The camera that looks away from whoever holds the device, frame by frame. */
import { pixelsOf } from './pixels'

/** Longest side of a frame that is read; codes are read no better in larger ones, only slower. */
const SIDE_MAX = 1280

export class Camera {
  private constructor(
    private readonly video: HTMLVideoElement,
    private readonly stream: MediaStream,
  ) {}

  /** Open the camera into a video element; rejects where there is none, or nobody allows it. */
  static async open(video: HTMLVideoElement): Promise<Camera> {
    if (!navigator.mediaDevices) throw new DOMException('no camera here', 'NotFoundError')
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: { ideal: 'environment' }, width: { ideal: 1280 }, height: { ideal: 720 } },
    })
    video.srcObject = stream
    await video.play()
    return new Camera(video, stream)
  }

  /** Take the frame of now; null before the first one, and while nobody looks at the page. */
  frame(): ImageData | null {
    const { videoWidth: width, videoHeight: height } = this.video
    return width && height && !document.hidden ? pixelsOf(this.video, width, height, SIDE_MAX) : null
  }

  get hasTorch(): boolean {
    const [track] = this.stream.getVideoTracks()
    return Boolean((track?.getCapabilities?.() as { torch?: boolean } | undefined)?.torch)
  }

  /** Switch the lamp; whether it obeyed. */
  async light(on: boolean): Promise<boolean> {
    const wanted = { advanced: [{ torch: on } as MediaTrackConstraintSet] }
    const [track] = this.stream.getVideoTracks()
    return Boolean(track) && track!.applyConstraints(wanted).then(
      () => true,
      () => false,
    )
  }

  close(): void {
    for (const track of this.stream.getTracks()) track.stop()
    this.video.srcObject = null
  }
}
