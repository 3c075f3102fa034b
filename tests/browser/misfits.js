// Answers what on this page does not fit, as sentences; run in the page by `Visitor.shoot`.
() => {
  // px to hit, by program: gloves at the gate, phones, desks; the rest is links in sentences.
  const LEAST = { gate: 72, m: 52, admin: 36 }[location.pathname.split('/')[1]] ?? 24
  const SLACK = 2 // px: what rounding makes of an edge
  const WORD = /[A-Za-z]{2,16}/g // Longer ones, codes and addresses may break.
  // Proofs and records show ids and instants as they were signed.
  const isProgram = document.getElementById('app') !== null
  const found = new Set()
  const told = (element) => {
    const words = (element.textContent || element.getAttribute('aria-label') || '').trim().replace(/\s+/g, ' ')
    return `${element.localName} "${words.slice(0, 40)}"`
  }
  const isShown = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) &&
    !element.closest('.visually-hidden, .skip, svg, [aria-hidden=true]')
  const hides = (element) => getComputedStyle(element).backgroundColor !== 'rgba(0, 0, 0, 0)'
  // What lies below a sheet is not looked at; what only has other words above it is.
  const isOnTop = (element, rect) => {
    const hits = document.elementsFromPoint(rect.left + rect.width / 2, rect.top + rect.height / 2)
    const mine = hits.findIndex((hit) => hit === element || element.contains(hit) || hit.contains(element))
    return mine >= 0 && !hits.slice(0, mine).some(hides)
  }

  const lines = []
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (nodes.nextNode()) {
    const text = nodes.currentNode
    const element = text.parentElement
    if (!text.data.trim() || !isShown(element) || element.closest('script, style, noscript, option')) continue
    const range = document.createRange()
    range.selectNodeContents(text)
    const mine = [...range.getClientRects()].filter((rect) => rect.width > 1 && isOnTop(element, rect))
    if (!mine.length) continue
    lines.push(...mine.map((rect) => ({ element, rect })))

    const size = parseFloat(getComputedStyle(element).fontSize)
    if (mine.length >= 3 && Math.max(...mine.map((rect) => rect.width)) < 2.1 * size) {
      found.add(`a column of single letters: ${told(element)}`)
    }
    // Commands and keys are copied, not read.
    for (const word of element.closest('pre, code') ? [] : text.data.matchAll(WORD)) {
      // Of a code or a number with a unit, only the whole is a word.
      if (/[\d@/_.-]/.test(text.data[word.index - 1] ?? '') || /[\d@/_.-]/.test(text.data[word.index + word[0].length] ?? '')) continue
      range.setStart(text, word.index)
      range.setEnd(text, word.index + word[0].length)
      const tops = new Set([...range.getClientRects()].map((rect) => Math.round(rect.top)))
      if (tops.size > 1) found.add(`broken within ${word[0]}: ${told(element)}`)
    }
    const said = text.data.trim()
    if (isProgram && !element.closest('.id') && /[\da-f]{8}-[\da-f]{4}-[\da-f]{4}/.test(said)) found.add(`an id: ${said.slice(0, 80)}`)
    if (isProgram && /\d{4}-\d\d-\d\dT\d\d/.test(said)) found.add(`an instant nobody reads: ${said.slice(0, 80)}`)
    if (/\b(undefined|NaN|null)\b|\[object/.test(said)) found.add(`no value: ${said.slice(0, 80)}`)
  }

  for (const { element, rect } of lines) {
    for (let box = element; box && box !== document.body; box = box.parentElement) {
      const style = getComputedStyle(box)
      if (style.display === 'inline' || style.display === 'contents') continue
      if (style.overflowX === 'auto' || style.overflowX === 'scroll') break
      if (style.overflowX === 'visible' && !box.matches('button, .button, td, th')) continue
      const frame = box.getBoundingClientRect()
      const high = rect.height / 4 // of a line's box no letter fills the last quarter
      if (rect.left < frame.left - SLACK || rect.right > frame.right + SLACK || rect.top < frame.top - high || rect.bottom > frame.bottom + high) {
        found.add(`cut, or beyond its frame: ${told(element)}`)
      }
    }
  }
  lines.forEach((one, at) => {
    for (const other of lines.slice(at + 1)) {
      if (one.element === other.element) continue
      const across = Math.min(one.rect.right, other.rect.right) - Math.max(one.rect.left, other.rect.left)
      const down = Math.min(one.rect.bottom, other.rect.bottom) - Math.max(one.rect.top, other.rect.top)
      if (across > SLACK && down > Math.min(one.rect.height, other.rect.height) / 3) {
        found.add(`over each other: ${told(one.element)}, ${told(other.element)}`)
      }
    }
  })

  const pen = document.createElement('canvas').getContext('2d')
  for (const field of document.querySelectorAll('input[placeholder]:placeholder-shown')) {
    if (!isShown(field)) continue
    const style = getComputedStyle(field)
    pen.font = style.font
    const room = field.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight)
    if (pen.measureText(field.placeholder).width > room + SLACK) found.add(`cut in its field: ${field.placeholder}`)
  }
  for (const field of document.querySelectorAll('select')) {
    if (isShown(field) && field.scrollHeight > field.clientHeight + SLACK) found.add(`cut in its field: ${field.selectedOptions[0]?.label}`)
  }

  for (const target of document.querySelectorAll('a[href], button, input, select, textarea, summary, [role=button]')) {
    if (!isShown(target) || getComputedStyle(target).display === 'inline') continue
    const held = target.closest('label') ?? target
    const box = held.getBoundingClientRect()
    if (box.height && isOnTop(held, box) && box.height < LEAST - 0.5) {
      found.add(`${Math.round(box.height)} px to hit: ${told(target)}`)
    }
  }
  return [...found]
}
