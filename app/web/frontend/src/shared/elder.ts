/** 长辈版: larger text and targets; the choice stays on the device. */
import { ref } from 'vue'

const KEPT = 'elder'

export const elder = ref(localStorage.getItem(KEPT) === 'yes')

function show(): void {
  document.documentElement.classList.toggle('elder', elder.value)
}

export function setElder(wanted: boolean): void {
  elder.value = wanted
  localStorage.setItem(KEPT, wanted ? 'yes' : 'no')
  show()
}

show()
